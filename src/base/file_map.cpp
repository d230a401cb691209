#include "base/file_map.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace tattletale {
namespace {

struct FileDescriptor {
  int fd = -1;
  ~FileDescriptor() {
    if (fd >= 0) ::close(fd);
  }
};

Error open_error(const std::string& path, int code) {
  const ErrorKind kind = code == ENOENT || code == ENOTDIR ? ErrorKind::not_found : ErrorKind::io;
  return make_error(kind, path, std::string("cannot open the file: ") + std::strerror(code));
}

/// Opens a regular file and learns its size.
Result<size_t> open_regular(const std::string& path, FileDescriptor& file) {
  file.fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file.fd < 0) return open_error(path, errno);
  struct stat info{};
  if (::fstat(file.fd, &info) != 0) return open_error(path, errno);
  if (!S_ISREG(info.st_mode)) {
    return make_error(ErrorKind::bad_file, path, "is not a regular file; give the path of a file");
  }
  return static_cast<size_t>(info.st_size);
}

}  // namespace

Result<std::shared_ptr<const FileMap>> FileMap::open(const std::filesystem::path& path) {
  const std::string name = path.string();
  FileDescriptor file;
  TT_ASSIGN(const size_t size, open_regular(name, file));
  if (size == 0) return make_error(ErrorKind::bad_file, name, "the file is empty");
  void* data = ::mmap(nullptr, size, PROT_READ, MAP_SHARED, file.fd, 0);
  if (data == MAP_FAILED) {
    return make_error(ErrorKind::io, name,
                      "cannot map " + std::to_string(size) + " bytes: " + std::strerror(errno));
  }
  std::shared_ptr<FileMap> map(new FileMap());
  map->data_ = static_cast<const std::byte*>(data);
  map->size_ = size;
  map->path_ = name;
  return std::shared_ptr<const FileMap>(std::move(map));
}

FileMap::~FileMap() {
  if (data_ != nullptr) ::munmap(const_cast<std::byte*>(data_), size_);
}

void FileMap::prefetch() const {
  ::madvise(const_cast<std::byte*>(data_), size_, MADV_WILLNEED);
}

Result<std::string> read_text_file(const std::filesystem::path& path, size_t max_bytes) {
  const std::string name = path.string();
  FileDescriptor file;
  TT_ASSIGN(const size_t size, open_regular(name, file));
  if (size > max_bytes) {
    return make_error(ErrorKind::limit_exceeded, name,
                      "the file has " + std::to_string(size) + " bytes; at most " +
                          std::to_string(max_bytes) + " are read");
  }
  std::string text(size, '\0');
  size_t done = 0;
  while (done < size) {
    const ssize_t got = ::read(file.fd, text.data() + done, size - done);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return open_error(name, errno);
    if (got == 0) break;
    done += static_cast<size_t>(got);
  }
  text.resize(done);
  return text;
}

}  // namespace tattletale
