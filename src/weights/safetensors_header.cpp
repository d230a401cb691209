#include "weights/safetensors_header.h"

#include <unordered_set>

#include "base/json.h"
#include "weights/untrusted_text.h"

namespace tattletale {
namespace {

/// Common parts of the two readers: where we are, and the first fault.
class EventReader : public nlohmann::json_sax<Json> {
 public:
  bool parse_error(std::size_t position, const std::string&,
                   const nlohmann::json::exception& cause) override {
    if (fault_.empty()) fault_ = "not valid JSON at byte " + std::to_string(position) + ": " + cause.what();
    return false;
  }
  bool null() override { return unexpected("null"); }
  bool boolean(bool) override { return unexpected("a boolean"); }
  bool number_integer(number_integer_t value) override {
    return unexpected("the number " + std::to_string(value));
  }
  bool number_unsigned(number_unsigned_t value) override {
    return unexpected("the number " + std::to_string(value));
  }
  bool number_float(number_float_t, const string_t& text) override {
    return unexpected("the number " + text);
  }
  bool binary(binary_t&) override { return unexpected("binary data"); }
  bool string(string_t& text) override { return unexpected("the string " + quote_for_error(text)); }
  bool start_object(std::size_t) override { return unexpected("an object"); }
  bool end_object() override { return true; }
  bool start_array(std::size_t) override { return unexpected("an array"); }
  bool end_array() override { return true; }

  const std::string& fault_text() const { return fault_; }

 protected:
  virtual std::string expectation() const = 0;
  bool unexpected(const std::string& found) { return fail("found " + found + ", expected " + expectation()); }
  bool fail(std::string what) {
    if (fault_.empty()) fault_ = std::move(what);
    return false;
  }

 private:
  std::string fault_;
};

class HeaderReader : public EventReader {
 public:
  SafetensorsHeader header;

  bool start_object(std::size_t) override {
    switch (state_) {
      case State::start: state_ = State::top; return true;
      case State::tensor_value: state_ = State::tensor; return true;
      case State::metadata_value: state_ = State::metadata; return true;
      default: return unexpected("an object");
    }
  }

  bool end_object() override {
    if (state_ == State::tensor) return end_tensor();
    state_ = state_ == State::top ? State::done : State::top;
    return true;
  }

  bool key(string_t& text) override {
    switch (state_) {
      case State::top: return start_entry(text);
      case State::metadata:
        if (!metadata_keys_.insert(text).second) {
          return fail("__metadata__ key " + quote_for_error(text) + " occurs twice");
        }
        header.metadata.emplace_back(text, "");
        state_ = State::metadata_string;
        return true;
      case State::tensor: return start_field(text);
      default: return unexpected("the key " + quote_for_error(text));
    }
  }

  bool string(string_t& text) override {
    if (state_ == State::dtype) {
      header.tensors.back().dtype = text;
      state_ = State::tensor;
      return true;
    }
    if (state_ == State::metadata_string) {
      header.metadata.back().second = text;
      state_ = State::metadata;
      return true;
    }
    return unexpected("the string " + quote_for_error(text));
  }

  bool start_array(std::size_t) override {
    if (state_ == State::shape_value) {
      state_ = State::shape;
    } else if (state_ == State::offsets_value) {
      state_ = State::offsets;
    } else {
      return unexpected("an array");
    }
    return true;
  }

  bool end_array() override {
    if (state_ == State::offsets && header.tensors.back().data_offsets.size() != 2) {
      return fail("data_offsets of tensor " + quote_for_error(header.tensors.back().name) + " has " +
                  std::to_string(header.tensors.back().data_offsets.size()) + " numbers, expected 2");
    }
    state_ = State::tensor;
    return true;
  }

  bool number_unsigned(number_unsigned_t value) override {
    if (state_ != State::shape && state_ != State::offsets) return EventReader::number_unsigned(value);
    auto& tensor = header.tensors.back();
    (state_ == State::shape ? tensor.shape : tensor.data_offsets).push_back(value);
    return true;
  }

 private:
  enum class State {
    start,
    top,
    done,
    tensor_value,
    tensor,
    dtype,
    shape_value,
    shape,
    offsets_value,
    offsets,
    metadata_value,
    metadata,
    metadata_string,
  };

  std::string expectation() const override {
    const std::string tensor =
        header.tensors.empty() ? "" : " of tensor " + quote_for_error(header.tensors.back().name);
    switch (state_) {
      case State::start: return "an object that describes the tensors";
      case State::tensor_value: return "an object with dtype, shape and data_offsets" + tensor;
      case State::dtype: return "the dtype" + tensor + " as a string";
      case State::shape_value: return "the shape" + tensor + " as an array";
      case State::shape: return "dimensions" + tensor + ", whole numbers from 0";
      case State::offsets_value: return "data_offsets" + tensor + " as an array";
      case State::offsets: return "data_offsets" + tensor + ", whole numbers from 0";
      case State::metadata_value: return "__metadata__ as an object";
      case State::metadata_string: return "a string as value in __metadata__";
      default: return "a key or the end of the object";
    }
  }

  bool start_entry(const std::string& text) {
    if (!names_.insert(text).second) return fail(quote_for_error(text) + " occurs twice");
    if (text == "__metadata__") {
      state_ = State::metadata_value;
      return true;
    }
    if (text.empty()) return fail("a tensor has an empty name");
    header.tensors.push_back({.name = text, .dtype = {}, .shape = {}, .data_offsets = {}});
    seen_dtype_ = seen_shape_ = seen_offsets_ = false;
    state_ = State::tensor_value;
    return true;
  }

  bool start_field(const std::string& text) {
    bool* seen = nullptr;
    if (text == "dtype") {
      seen = &seen_dtype_;
      state_ = State::dtype;
    } else if (text == "shape") {
      seen = &seen_shape_;
      state_ = State::shape_value;
    } else if (text == "data_offsets") {
      seen = &seen_offsets_;
      state_ = State::offsets_value;
    } else {
      return fail("tensor " + quote_for_error(header.tensors.back().name) + " has the unknown field " +
                  quote_for_error(text) + ", expected dtype, shape and data_offsets");
    }
    if (*seen) {
      return fail("tensor " + quote_for_error(header.tensors.back().name) + " has " + text + " twice");
    }
    *seen = true;
    return true;
  }

  bool end_tensor() {
    const char* missing = !seen_dtype_     ? "dtype"
                          : !seen_shape_   ? "shape"
                          : !seen_offsets_ ? "data_offsets"
                                           : nullptr;
    if (missing != nullptr) {
      return fail("tensor " + quote_for_error(header.tensors.back().name) + " has no " + missing);
    }
    state_ = State::top;
    return true;
  }

  State state_ = State::start;
  bool seen_dtype_ = false;
  bool seen_shape_ = false;
  bool seen_offsets_ = false;
  std::unordered_set<std::string> names_;
  std::unordered_set<std::string> metadata_keys_;
};

/// Takes weight_map and passes over everything else.
class IndexReader : public EventReader {
 public:
  std::vector<std::pair<std::string, std::string>> weight_map;
  bool found = false;

  bool null() override { return pass("null"); }
  bool boolean(bool) override { return pass("a boolean"); }
  bool number_integer(number_integer_t) override { return pass("a number"); }
  bool number_unsigned(number_unsigned_t) override { return pass("a number"); }
  bool number_float(number_float_t, const string_t&) override { return pass("a number"); }
  bool start_array(std::size_t) override { return pass("an array") && (++depth_, true); }
  bool end_array() override { return --depth_, true; }

  bool string(string_t& text) override {
    if (!in_map_) return pass("a string");
    weight_map.back().second = text;
    return true;
  }

  bool start_object(std::size_t) override {
    if (in_map_) return unexpected("an object");
    if (depth_ == 1 && map_is_next_) in_map_ = true;
    map_is_next_ = false;
    ++depth_;
    return true;
  }

  bool end_object() override {
    in_map_ = false;
    --depth_;
    return true;
  }

  bool key(string_t& text) override {
    if (in_map_) {
      if (!names_.insert(text).second)
        return fail("tensor " + quote_for_error(text) + " occurs twice in weight_map");
      weight_map.emplace_back(text, "");
      return true;
    }
    map_is_next_ = depth_ == 1 && text == "weight_map";
    if (map_is_next_ && found) return fail("weight_map occurs twice");
    found |= map_is_next_;
    return true;
  }

 private:
  std::string expectation() const override {
    if (in_map_) return "the name of the file of tensor " + quote_for_error(weight_map.back().first);
    return map_is_next_ ? "weight_map as an object" : "an object";
  }
  bool pass(const char* what) { return in_map_ || map_is_next_ || depth_ == 0 ? unexpected(what) : true; }

  int depth_ = 0;
  bool map_is_next_ = false;
  bool in_map_ = false;
  std::unordered_set<std::string> names_;
};

Result<void> run(std::string_view json, const std::string& where, EventReader& reader) {
  try {
    if (Json::sax_parse(json.begin(), json.end(), &reader)) return {};
  } catch (const nlohmann::json::exception& cause) {
    return make_error(ErrorKind::bad_file, where, std::string("not valid JSON: ") + cause.what());
  }
  return make_error(ErrorKind::bad_file, where, reader.fault_text());
}

}  // namespace

Result<SafetensorsHeader> parse_safetensors_header(std::string_view json, const std::string& where) {
  HeaderReader reader;
  TT_TRY(run(json, where, reader));
  return std::move(reader.header);
}

Result<std::vector<std::pair<std::string, std::string>>> parse_safetensors_index(std::string_view json,
                                                                                 const std::string& where) {
  IndexReader reader;
  TT_TRY(run(json, where, reader));
  if (!reader.found) return make_error(ErrorKind::bad_file, where, "has no weight_map");
  return std::move(reader.weight_map);
}

}  // namespace tattletale
