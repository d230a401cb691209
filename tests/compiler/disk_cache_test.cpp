// The disk cache: round trip, damage, size cap, unusable folders, many processes in one folder.
#include "compiler/disk_cache.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <fstream>
#include <random>
#include <set>

namespace tattletale::compiler {
namespace {

namespace fs = std::filesystem;

class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string name = (fs::temp_directory_path() / "tattletale-cache-XXXXXX").string();
    path_ = mkdtemp(name.data());
  }
  ~TemporaryFolder() {
    std::error_code error;
    fs::permissions(path_, fs::perms::owner_all, error);
    fs::remove_all(path_, error);
  }
  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

CacheKey key_of(uint32_t number) {
  return cache_key("kernel " + std::to_string(number), ir::TargetInfo{.name = "test"}, "compiler 1");
}

/// A binary whose every field follows from `number`.
KernelBinary binary_of(uint32_t number, size_t code_bytes = 1000) {
  std::mt19937 random(number);
  KernelBinary binary;
  binary.format = KernelBinary::Format::spirv;
  binary.name = "kernel " + std::to_string(number);
  binary.comptime.resize(random() % 64);
  binary.code.resize(code_bytes);
  for (std::byte& byte : binary.comptime) byte = static_cast<std::byte>(random());
  for (std::byte& byte : binary.code) byte = static_cast<std::byte>(random());
  binary.entry_point = "main_" + std::to_string(number);
  binary.num_bindings = random();
  binary.params_bytes = random();
  binary.writes_mask = random();
  binary.workgroup_threads = random();
  binary.subgroup_size = random();
  binary.shared_bytes = random();
  return binary;
}

void expect_same(const KernelBinary& found, const KernelBinary& stored) {
  EXPECT_EQ(found.format, stored.format);
  EXPECT_EQ(found.name, stored.name);
  EXPECT_EQ(found.comptime, stored.comptime);
  EXPECT_EQ(found.code, stored.code);
  EXPECT_EQ(found.entry_point, stored.entry_point);
  EXPECT_EQ(found.num_bindings, stored.num_bindings);
  EXPECT_EQ(found.params_bytes, stored.params_bytes);
  EXPECT_EQ(found.writes_mask, stored.writes_mask);
  EXPECT_EQ(found.workgroup_threads, stored.workgroup_threads);
  EXPECT_EQ(found.subgroup_size, stored.subgroup_size);
  EXPECT_EQ(found.shared_bytes, stored.shared_bytes);
}

fs::path file_of(const fs::path& folder, const CacheKey& key) {
  return folder / (key.text() + ".kernel");
}

uint64_t folder_bytes(const fs::path& folder) {
  uint64_t total = 0;
  for (const auto& entry : fs::directory_iterator(folder)) total += entry.file_size();
  return total;
}

void write_file(const fs::path& path, std::span<const std::byte> bytes) {
  std::ofstream(path, std::ios::binary)
      .write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
}

TEST(DiskCache, GivesBackEveryFieldInALaterProcess) {
  TemporaryFolder folder;
  for (uint32_t i = 0; i < 20; ++i) {
    EXPECT_TRUE(DiskCache(folder.path() / "new" / "deep").store(key_of(i), binary_of(i, i * 100)));
  }
  DiskCache later(folder.path() / "new" / "deep");
  for (uint32_t i = 0; i < 20; ++i) {
    const auto found = later.find(key_of(i));
    ASSERT_TRUE(found) << i;
    expect_same(*found, binary_of(i, i * 100));
  }
  EXPECT_FALSE(later.find(key_of(20)));
  later.remove(key_of(3));
  EXPECT_FALSE(later.find(key_of(3)));
  EXPECT_TRUE(later.find(key_of(4)));
}

TEST(DiskCache, FolderIsReadableByItsOwnerAlone) {
  TemporaryFolder folder;
  ASSERT_TRUE(DiskCache(folder.path() / "kernels").store(key_of(1), binary_of(1)));
  struct stat status{};
  ASSERT_EQ(stat((folder.path() / "kernels").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0700u);
  ASSERT_EQ(stat(file_of(folder.path() / "kernels", key_of(1)).c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600u);
}

TEST(DiskCache, KeyDependsOnEveryInput) {
  std::set<std::string> keys;
  size_t num_variants = 0;
  const auto add = [&](std::string_view text, const ir::TargetInfo& target, std::string_view identity) {
    keys.insert(cache_key(text, target, identity).text());
    ++num_variants;
  };
  const ir::TargetInfo plain{.name = "cuda"};
  const auto with = [&](auto change) {
    ir::TargetInfo target = plain;
    change(target);
    add("kernel", target, "compiler");
  };
  add("kernel", plain, "compiler");
  add("kernel2", plain, "compiler");
  add("kernel", plain, "compiler2");
  add("kernelc", plain, "ompiler");  // the same bytes one after the other
  with([](auto& t) { t.name = "cud"; });
  with([](auto& t) { t.subgroup_size = 32; });
  with([](auto& t) { t.max_workgroup_threads = 1024; });
  with([](auto& t) { t.max_shared_bytes = 1; });
  with([](auto& t) { t.max_bindings = 9; });
  with([](auto& t) { t.max_binding_bytes = 1ull << 40; });
  with([](auto& t) { t.num_processors = 132; });
  with([](auto& t) { t.is_cpu = true; });
  with([](auto& t) { t.f16x2 = true; });
  with([](auto& t) { t.dot4_i8 = true; });
  with([](auto& t) { t.mul_hi = false; });
  with([](auto& t) { t.funnel_shift = false; });
  with([](auto& t) { t.async_copy = true; });
  with([](auto& t) { t.f16_fragments = ir::FragmentTier::opaque; });
  with([](auto& t) { t.bf16_fragments = ir::FragmentTier::opaque; });
  EXPECT_EQ(keys.size(), num_variants);
  EXPECT_EQ(cache_key("kernel", plain, "compiler"), cache_key("kernel", plain, "compiler"));
}

TEST(DiskCache, NoDamagedByteIsAccepted) {
  TemporaryFolder folder;
  DiskCache cache(folder.path());
  const CacheKey key = key_of(1);
  const KernelBinary binary = binary_of(1, 300);
  const auto whole = serialize_entry(key, binary);
  ASSERT_TRUE(parse_entry(key, whole));
  std::mt19937 random(7);
  for (size_t i = 0; i < whole.size(); ++i) {
    auto damaged = whole;
    damaged[i] ^= static_cast<std::byte>(1 + random() % 255);
    EXPECT_FALSE(parse_entry(key, damaged)) << "byte " << i;
  }
  for (size_t size = 0; size < whole.size(); ++size) {
    EXPECT_FALSE(parse_entry(key, std::span(whole).first(size))) << "cut to " << size;
  }
  auto longer = whole;
  longer.push_back(std::byte{0});
  EXPECT_FALSE(parse_entry(key, longer));
  EXPECT_FALSE(parse_entry(key_of(2), whole)) << "a file under another program's name";

  // Through the folder: ignored, then replaced.
  auto damaged = whole;
  damaged[whole.size() / 2] ^= std::byte{64};
  write_file(file_of(folder.path(), key), damaged);
  EXPECT_FALSE(cache.find(key));
  EXPECT_TRUE(cache.store(key, binary));
  const auto found = cache.find(key);
  ASSERT_TRUE(found);
  expect_same(*found, binary);
}

TEST(DiskCache, StrangeFilesInTheFolderAreNeitherReadNorRemoved) {
  TemporaryFolder folder;
  const CacheKey key = key_of(1);
  fs::create_directory(file_of(folder.path(), key));
  write_file(folder.path() / "thesis.txt", std::vector<std::byte>(5000));
  write_file(folder.path() / "old.part", std::vector<std::byte>(10));
  fs::last_write_time(folder.path() / "old.part", fs::file_time_type::clock::now() - std::chrono::hours(48));
  DiskCache cache(folder.path(), 4000);
  EXPECT_FALSE(cache.find(key));
  EXPECT_FALSE(cache.store(key, binary_of(1)));
  for (uint32_t i = 2; i < 20; ++i) EXPECT_TRUE(cache.store(key_of(i), binary_of(i)));
  EXPECT_EQ(fs::file_size(folder.path() / "thesis.txt"), 5000u);
  EXPECT_TRUE(fs::exists(folder.path() / "old.part"));
  size_t temporaries = 0;
  for (const auto& entry : fs::directory_iterator(folder.path())) {
    temporaries += entry.path().extension() == ".part" && entry.path().filename() != "old.part";
  }
  EXPECT_EQ(temporaries, 0u) << "a failed store left its temporary file behind";
}

TEST(DiskCache, LeastRecentlyUsedGoesFirst) {
  TemporaryFolder folder;
  {
    DiskCache roomy(folder.path());
    for (uint32_t i = 0; i < 10; ++i) ASSERT_TRUE(roomy.store(key_of(i), binary_of(i)));
  }
  const auto now = fs::file_time_type::clock::now();
  for (int i = 0; i < 10; ++i) {
    fs::last_write_time(file_of(folder.path(), key_of(i)), now - std::chrono::hours(24 - i));
  }
  const std::string stale = std::string(32, 'a') + "-1-2-3.part";
  const std::string fresh = std::string(32, 'b') + "-1-2-3.part";
  write_file(folder.path() / stale, std::vector<std::byte>(10));
  write_file(folder.path() / fresh, std::vector<std::byte>(10));
  fs::last_write_time(folder.path() / stale, now - std::chrono::hours(2));

  DiskCache tight(folder.path(), 6000);  // entries are a little over 1,000 bytes
  ASSERT_TRUE(tight.find(key_of(0)));    // the oldest becomes the newest
  ASSERT_TRUE(tight.store(key_of(10), binary_of(10)));
  EXPECT_LE(folder_bytes(folder.path()), 6000u);
  EXPECT_TRUE(tight.find(key_of(0)));
  EXPECT_TRUE(tight.find(key_of(10)));
  EXPECT_TRUE(tight.find(key_of(9)));
  for (uint32_t i = 1; i < 6; ++i) EXPECT_FALSE(tight.find(key_of(i))) << i;
  EXPECT_FALSE(fs::exists(folder.path() / stale));
  EXPECT_TRUE(fs::exists(folder.path() / fresh)) << "another process is writing it";

  for (uint32_t i = 100; i < 200; ++i) {
    ASSERT_TRUE(tight.store(key_of(i), binary_of(i)));
    ASSERT_LE(folder_bytes(folder.path()), 6000u + 2000u) << i;
  }
  EXPECT_FALSE(tight.store(key_of(300), binary_of(300, 7000))) << "larger than the whole cache";
}

TEST(DiskCache, AFolderThatCannotBeUsedIsOnlySlower) {
  DiskCache none{fs::path()};
  EXPECT_FALSE(none.store(key_of(1), binary_of(1)));
  EXPECT_FALSE(none.find(key_of(1)));
  none.remove(key_of(1));

  TemporaryFolder folder;
  write_file(folder.path() / "file", std::vector<std::byte>(3));
  for (const fs::path& place : {folder.path() / "file", folder.path() / "file" / "below", fs::path("/proc/x"),
                                fs::path("/dev/null/x")}) {
    DiskCache cache(place);
    EXPECT_FALSE(cache.store(key_of(1), binary_of(1))) << place;
    EXPECT_FALSE(cache.find(key_of(1))) << place;
  }

  // Readable, not writable: what is there is still found. Permissions do not bind root, so become somebody
  // else.
  const fs::path shared = folder.path() / "shared";
  ASSERT_TRUE(DiskCache(shared).store(key_of(1), binary_of(1)));
  fs::permissions(folder.path(), fs::perms(0755));
  fs::permissions(shared, fs::perms(0555));
  fs::permissions(file_of(shared, key_of(1)), fs::perms(0444));
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    if (geteuid() == 0 && setuid(65534) != 0) _exit(10);
    DiskCache cache(shared);
    if (!cache.find(key_of(1))) _exit(11);
    if (cache.store(key_of(2), binary_of(2))) _exit(12);
    if (cache.store(key_of(1), binary_of(1))) _exit(13);
    cache.remove(key_of(1));
    _exit(cache.find(key_of(1)) ? 0 : 14);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 0);
  fs::permissions(shared, fs::perms::owner_all);
}

TEST(DiskCache, AFolderRemovedWhileInUseIsMadeAgain) {
  TemporaryFolder folder;
  DiskCache cache(folder.path() / "kernels");
  ASSERT_TRUE(cache.store(key_of(1), binary_of(1)));
  fs::remove_all(folder.path() / "kernels");
  EXPECT_FALSE(cache.find(key_of(1)));
  EXPECT_TRUE(cache.store(key_of(1), binary_of(1)));
  EXPECT_TRUE(cache.find(key_of(1)));
}

TEST(DiskCache, DefaultFolderFollowsTheEnvironment) {
  const pid_t child = fork();  // the environment belongs to the whole process
  ASSERT_GE(child, 0);
  if (child == 0) {
    setenv("XDG_CACHE_HOME", "/somewhere/cache", 1);
    setenv("HOME", "/somebody", 1);
    if (DiskCache::default_folder() != "/somewhere/cache/tattletale/kernels") _exit(10);
    setenv("XDG_CACHE_HOME", "relative", 1);
    if (DiskCache::default_folder() != "/somebody/.cache/tattletale/kernels") _exit(11);
    unsetenv("XDG_CACHE_HOME");
    if (DiskCache::default_folder() != "/somebody/.cache/tattletale/kernels") _exit(12);
    unsetenv("HOME");
    _exit(DiskCache::default_folder().empty() ? 0 : 13);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0) << "exit code " << WEXITSTATUS(status);
}

/// One of several processes: stores, finds, removes and damages entries that the others use as well. Returns
/// 0 unless a find gave something that was never stored.
int hammer(const fs::path& folder, uint32_t seed) {
  DiskCache cache(folder, 20000);  // about 18 entries of 40: trimming all the time
  std::mt19937 random(seed);
  uint32_t num_hits = 0, num_stores = 0;
  for (int i = 0; i < 1500; ++i) {
    const uint32_t number = random() % 40;
    const KernelBinary expected = binary_of(number);
    switch (random() % 8) {
      case 0: cache.remove(key_of(number)); break;
      case 1: {  // a torn write, as after a crash
        const auto whole = serialize_entry(key_of(number), expected);
        write_file(file_of(folder, key_of(number)), std::span(whole).first(random() % whole.size()));
        break;
      }
      case 2:
      case 3: num_stores += cache.store(key_of(number), expected); break;
      default:
        if (const auto found = cache.find(key_of(number))) {
          ++num_hits;
          if (found->code != expected.code || found->name != expected.name ||
              found->shared_bytes != expected.shared_bytes || found->comptime != expected.comptime) {
            return 20;
          }
        }
    }
  }
  if (num_stores < 300) return 21;
  return num_hits >= 50 ? 0 : 22;
}

TEST(DiskCache, ManyProcessesShareOneFolder) {
  TemporaryFolder folder;
  std::vector<pid_t> children;
  for (uint32_t i = 0; i < 4; ++i) {
    const pid_t child = fork();
    ASSERT_GE(child, 0);
    if (child == 0) _exit(hammer(folder.path(), 100 + i));
    children.push_back(child);
  }
  for (const pid_t child : children) {
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFEXITED(status));
    EXPECT_EQ(WEXITSTATUS(status), 0);
  }
  // Afterwards every file is a whole entry or a torn one, and none is temporary.
  DiskCache cache(folder.path(), 20000);
  for (const auto& entry : fs::directory_iterator(folder.path())) {
    EXPECT_EQ(entry.path().extension(), ".kernel");
  }
  for (uint32_t i = 0; i < 40; ++i) {
    if (const auto found = cache.find(key_of(i))) expect_same(*found, binary_of(i));
    EXPECT_TRUE(cache.store(key_of(i), binary_of(i)));
  }
  EXPECT_LE(folder_bytes(folder.path()), 20000u + 2500u);
}

}  // namespace
}  // namespace tattletale::compiler
