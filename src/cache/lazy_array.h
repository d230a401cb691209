// A fixed-size zeroed array: indices are stable and nothing is ever moved, so no insertion pays for growth.
// Its memory is either touched only as it is used, or all at once at the start, in large pages where the
// system has them.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <type_traits>
#include <utility>

#ifdef __linux__
#include <sys/mman.h>
#endif

namespace tattletale {

/// num elements of zero bytes, aligned to 64 bytes. T must be trivial and valid when all bytes are zero.
template <class T>
class LazyArray {
  static_assert(std::is_trivially_copyable_v<T> && alignof(T) <= 64);

 public:
  LazyArray() = default;
  LazyArray(LazyArray&& other) noexcept { swap(other); }
  LazyArray& operator=(LazyArray&& other) noexcept {
    swap(other);
    return *this;
  }
  ~LazyArray() { std::free(raw_); }

  /// False if the memory is not to be had. With touch_now no later access can fault; without, large blocks
  /// come untouched from the system.
  bool allocate(uint64_t num, bool touch_now) {
    if (num > (UINT64_MAX - 2 * kLargePage) / sizeof(T)) return false;
    const uint64_t bytes = num * sizeof(T);
    if (touch_now && bytes >= kLargePage) {
      const uint64_t rounded = (bytes + kLargePage - 1) / kLargePage * kLargePage;
      raw_ = std::aligned_alloc(kLargePage, rounded);
      if (raw_ == nullptr) return false;
#ifdef __linux__
      (void)madvise(raw_, rounded, MADV_HUGEPAGE);  // advice: its failure changes nothing but speed
#endif
      std::memset(raw_, 0, rounded);
      data_ = static_cast<T*>(raw_);
    } else {
      raw_ = std::calloc(bytes + 64, 1);
      if (raw_ == nullptr) return false;
      data_ = reinterpret_cast<T*>((reinterpret_cast<uintptr_t>(raw_) + 63) & ~uintptr_t{63});
    }
    size_ = num;
    return true;
  }

  T& operator[](uint64_t i) { return data_[i]; }
  const T& operator[](uint64_t i) const { return data_[i]; }
  T* data() { return data_; }
  const T* data() const { return data_; }
  uint64_t size() const { return size_; }

 private:
  static constexpr uint64_t kLargePage = uint64_t{2} << 20;

  void swap(LazyArray& other) noexcept {
    std::swap(raw_, other.raw_);
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
  }

  void* raw_ = nullptr;
  T* data_ = nullptr;
  uint64_t size_ = 0;
};

}  // namespace tattletale
