// The folder of the disk cache. Files appear by rename, so a reader sees a whole file or none; every file may
// vanish at any time because another process trims the folder. Nothing is synced to the disk: after a crash
// of the machine an entry may be damaged, which its checksum shows.
#include "compiler/disk_cache.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <random>

namespace tattletale::compiler {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kSuffix = ".kernel";
constexpr std::string_view kTemporarySuffix = ".part";
constexpr uint64_t kMaxEntryBytes = 256u << 20;  // no program comes near; what is larger is not ours
constexpr auto kTemporaryLifetime = std::chrono::hours(1);

class FileDescriptor {
 public:
  explicit FileDescriptor(int number) : number_(number) {}
  ~FileDescriptor() { close(); }
  FileDescriptor(const FileDescriptor&) = delete;
  FileDescriptor& operator=(const FileDescriptor&) = delete;
  bool valid() const { return number_ >= 0; }
  int get() const { return number_; }
  bool close() {
    const int number = std::exchange(number_, -1);
    return number < 0 || ::close(number) == 0;
  }

 private:
  int number_;
};

bool write_all(int file, std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(file, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return false;
    bytes = bytes.subspan(static_cast<size_t>(written));
  }
  return true;
}

/// The whole file; nothing when it is absent, unreadable or absurdly large.
std::optional<std::vector<std::byte>> read_all(int file) {
  struct stat status{};
  if (fstat(file, &status) != 0 || !S_ISREG(status.st_mode) || status.st_size < 0 ||
      static_cast<uint64_t>(status.st_size) > kMaxEntryBytes) {
    return {};
  }
  std::vector<std::byte> bytes(static_cast<size_t>(status.st_size));
  size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t got = ::read(file, bytes.data() + done, bytes.size() - done);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return {};
    done += static_cast<size_t>(got);
  }
  return bytes;
}

/// A name no other thread or process uses: processes in containers may share a folder and a process number.
std::string temporary_name(const CacheKey& key) {
  static std::atomic<uint64_t> counter{std::random_device{}()};
  return key.text() + "-" + std::to_string(getpid()) + "-" + std::to_string(std::random_device{}()) + "-" +
         std::to_string(counter++) + std::string(kTemporarySuffix);
}

struct FileOnDisk {
  fs::path path;
  uint64_t size_bytes = 0;
  fs::file_time_type used;
};

bool is_key(std::string_view text) {
  return text.size() == 32 && text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

/// Entries of the folder; removes temporary files that a process must have left behind. Touches only names
/// that this cache gives out, so that a folder chosen by mistake keeps its files.
std::vector<FileOnDisk> list_entries(const fs::path& folder) {
  std::vector<FileOnDisk> entries;
  std::error_code error;
  const auto now = fs::file_time_type::clock::now();
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    const std::string name = it->path().filename().string();
    std::error_code vanished;
    const auto used = it->last_write_time(vanished);
    if (vanished || !is_key(std::string_view(name).substr(0, 32))) continue;
    if (name.ends_with(kTemporarySuffix)) {
      if (now - used > kTemporaryLifetime) fs::remove(it->path(), vanished);
    } else if (name.ends_with(kSuffix)) {
      const uint64_t size_bytes = it->file_size(vanished);
      if (!vanished) entries.push_back({it->path(), size_bytes, used});
    }
  }
  return entries;
}

/// Folders above it as they come, the folder itself readable by its owner alone: whoever can write here can
/// choose the programs that run.
bool make_folder(const fs::path& folder) {
  std::error_code error;
  if (folder.has_parent_path()) fs::create_directories(folder.parent_path(), error);
  return ::mkdir(folder.c_str(), 0700) == 0 || errno == EEXIST;
}

}  // namespace

fs::path DiskCache::default_folder() {
  const char* cache = std::getenv("XDG_CACHE_HOME");
  // The XDG base directory specification has relative paths ignored.
  if (cache != nullptr && cache[0] == '/') return fs::path(cache) / "tattletale" / "kernels";
  const char* home = std::getenv("HOME");
  if (home != nullptr && home[0] == '/') return fs::path(home) / ".cache" / "tattletale" / "kernels";
  return {};
}

DiskCache::DiskCache(fs::path folder, uint64_t max_bytes)
    : folder_(std::move(folder)), max_bytes_(max_bytes) {}

fs::path DiskCache::entry_path(const CacheKey& key) const {
  return folder_ / (key.text() + std::string(kSuffix));
}

std::optional<KernelBinary> DiskCache::find(const CacheKey& key) {
  if (folder_.empty()) return {};
  FileDescriptor file(::open(entry_path(key).c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  if (!file.valid()) return {};
  const auto bytes = read_all(file.get());
  if (!bytes) return {};
  auto binary = parse_entry(key, *bytes);
  // The time of change is the time of use: access times are often switched off. May fail on a read-only
  // folder.
  if (binary) ::futimens(file.get(), nullptr);
  return binary;
}

bool DiskCache::store(const CacheKey& key, const KernelBinary& binary) {
  if (folder_.empty()) return false;
  const auto bytes = serialize_entry(key, binary);
  if (bytes.size() > max_bytes_ || bytes.size() > kMaxEntryBytes) return false;
  const fs::path temporary = folder_ / temporary_name(key);
  const auto create = [&] {
    return ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  };
  int number = create();
  if (number < 0 && errno == ENOENT && make_folder(folder_)) number = create();
  FileDescriptor file(number);
  if (!file.valid()) return false;
  if (!write_all(file.get(), bytes) || !file.close() ||
      std::rename(temporary.c_str(), entry_path(key).c_str()) != 0) {
    ::unlink(temporary.c_str());
    return false;
  }
  // Other processes add files too, so the sum is counted anew now and then rather than kept.
  added_since_trim_ += bytes.size();
  if (!trimmed_ || added_since_trim_ > max_bytes_ / 16) trim();
  return true;
}

void DiskCache::remove(const CacheKey& key) {
  if (!folder_.empty()) ::unlink(entry_path(key).c_str());
}

void DiskCache::trim() {
  trimmed_ = true;
  added_since_trim_ = 0;
  auto entries = list_entries(folder_);
  uint64_t total_bytes = 0;
  for (const FileOnDisk& entry : entries) total_bytes += entry.size_bytes;
  // Removing a little more than needed keeps the next stores from listing the folder again.
  const uint64_t limit_bytes = max_bytes_ - max_bytes_ / 16;
  if (total_bytes <= limit_bytes) return;
  std::ranges::sort(entries, {}, &FileOnDisk::used);
  for (const FileOnDisk& entry : entries) {
    if (total_bytes <= limit_bytes) break;
    std::error_code error;
    fs::remove(entry.path, error);
    total_bytes -= entry.size_bytes;
  }
}

}  // namespace tattletale::compiler
