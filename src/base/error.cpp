#include "base/error.h"

namespace tattletale {

std::string_view error_kind_name(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::invalid_argument: return "invalid_argument";
    case ErrorKind::not_found: return "not_found";
    case ErrorKind::bad_file: return "bad_file";
    case ErrorKind::unsupported: return "unsupported";
    case ErrorKind::out_of_memory: return "out_of_memory";
    case ErrorKind::io: return "io";
    case ErrorKind::limit_exceeded: return "limit_exceeded";
    case ErrorKind::cancelled: return "cancelled";
    case ErrorKind::device_lost: return "device_lost";
    case ErrorKind::internal: return "internal";
  }
  return "internal";
}

}  // namespace tattletale
