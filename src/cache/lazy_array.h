// A fixed-size zeroed array whose memory is touched only as it is used: indices are stable and nothing is ever moved,
// so no insertion pays for growth. The operating system backs it page by page.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <type_traits>
#include <utility>

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

  /// False if the address space is not to be had. Large blocks from calloc come untouched from the system.
  bool allocate(uint64_t num) {
    if (num > (UINT64_MAX - 64) / sizeof(T)) return false;
    raw_ = std::calloc(num * sizeof(T) + 64, 1);
    if (raw_ == nullptr) return false;
    data_ = reinterpret_cast<T*>((reinterpret_cast<uintptr_t>(raw_) + 63) & ~uintptr_t{63});
    size_ = num;
    return true;
  }

  T& operator[](uint64_t i) { return data_[i]; }
  const T& operator[](uint64_t i) const { return data_[i]; }
  T* data() { return data_; }
  const T* data() const { return data_; }
  uint64_t size() const { return size_; }

 private:
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
