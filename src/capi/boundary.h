// What every call of the C interface goes through: Errors and exceptions become statuses, strings and arrays
// become the caller's, structs of older callers become ours.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <new>
#include <span>
#include <string>
#include <string_view>

#include "base/error.h"
#include "tattletale/tattletale.h"

namespace tattletale {

inline tt_status status_of(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::invalid_argument: return TT_INVALID_ARGUMENT;
    case ErrorKind::not_found: return TT_NOT_FOUND;
    case ErrorKind::bad_file: return TT_BAD_FILE;
    case ErrorKind::unsupported: return TT_UNSUPPORTED;
    case ErrorKind::out_of_memory: return TT_OUT_OF_MEMORY;
    case ErrorKind::io: return TT_IO;
    case ErrorKind::limit_exceeded: return TT_LIMIT_EXCEEDED;
    case ErrorKind::cancelled: return TT_CANCELLED;
    case ErrorKind::device_lost: return TT_DEVICE_LOST;
    case ErrorKind::internal: return TT_INTERNAL;
  }
  return TT_INTERNAL;
}

inline tt_status report(const Error& fault, tt_error* error) {
  if (error != nullptr) std::snprintf(error->message, sizeof(error->message), "%s", fault.message().c_str());
  return status_of(fault.kind);
}

/// Runs the body of an API call: nothing it throws passes into C.
template <class Body>
tt_status guarded(tt_error* error, Body&& body) {
  try {
    Result<void> result = body();
    if (!result) return report(result.error(), error);
    if (error != nullptr) error->message[0] = '\0';
    return TT_OK;
  } catch (const std::bad_alloc&) {
    return report(make_error(ErrorKind::out_of_memory, "", "the process is out of memory"), error);
  } catch (const std::exception& fault) {
    return report(make_error(ErrorKind::internal, "", fault.what()), error);
  }
}

inline Error missing(std::string_view argument) {
  return make_error(ErrorKind::invalid_argument, std::string(argument), "is null");
}

inline Result<void> give(std::string_view text, tt_string* out) {
  if (out == nullptr) return missing("out");
  out->data = static_cast<char*>(std::malloc(text.size() + 1));
  if (out->data == nullptr) throw std::bad_alloc();
  std::memcpy(out->data, text.data(), text.size());
  out->data[text.size()] = '\0';
  out->length = text.size();
  return {};
}

inline Result<void> give(std::span<const uint32_t> tokens, tt_tokens* out) {
  if (out == nullptr) return missing("out");
  out->data = static_cast<uint32_t*>(std::malloc(std::max<size_t>(tokens.size_bytes(), 1)));
  if (out->data == nullptr) throw std::bad_alloc();
  if (!tokens.empty()) std::memcpy(out->data, tokens.data(), tokens.size_bytes());
  out->length = tokens.size();
  return {};
}

/// Copies a caller's struct that may be older and shorter than ours over our defaults.
template <class Struct>
Result<Struct> grown(const Struct* from, Struct defaults, std::string_view name) {
  if (from == nullptr) return defaults;
  if (from->struct_size < sizeof(size_t) || from->struct_size > sizeof(Struct)) {
    return make_error(ErrorKind::invalid_argument, std::string(name),
                      "struct_size is " + std::to_string(from->struct_size) +
                          "; fill the struct with its _defaults function first");
  }
  std::memcpy(&defaults, from, from->struct_size);
  return defaults;
}

}  // namespace tattletale
