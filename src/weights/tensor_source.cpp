#include "weights/tensor_source.h"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
#include <system_error>

#include "base/check.h"

namespace tattletale {
namespace {

struct CloseFile {
  void operator()(std::FILE* file) const { std::fclose(file); }
};

Error io_error(const std::string& path, const char* what) {
  return make_error(ErrorKind::io, path, std::string(what) + ": " + std::strerror(errno));
}

}  // namespace

TensorFill copy_of(std::span<const std::byte> bytes) {
  return [bytes](std::span<std::byte> out) {
    CHECK(out.size() == bytes.size());
    if (!out.empty()) std::memcpy(out.data(), bytes.data(), out.size());
  };
}

Result<void> write_file_atomically(const std::filesystem::path& path,
                                   const std::function<Result<void>(const ByteSink&)>& produce) {
  const std::string part = path.string() + ".part";
  std::unique_ptr<std::FILE, CloseFile> file(std::fopen(part.c_str(), "wb"));
  if (!file) return io_error(part, "cannot create the file");
  const auto write = [&](std::span<const std::byte> bytes) -> Result<void> {
    if (std::fwrite(bytes.data(), 1, bytes.size(), file.get()) != bytes.size())
      return io_error(part, "cannot write");
    return {};
  };
  Result<void> produced = produce(write);
  if (produced && std::fclose(file.release()) != 0) produced = io_error(part, "cannot write");
  file.reset();
  std::error_code code;
  if (produced) {
    std::filesystem::rename(part, path, code);
    if (code)
      produced =
          make_error(ErrorKind::io, path.string(), "cannot rename from " + part + ": " + code.message());
  }
  if (!produced) std::filesystem::remove(part, code);
  return produced;
}

}  // namespace tattletale
