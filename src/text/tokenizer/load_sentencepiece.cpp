// SentencePiece tokenizer.model (a protobuf ModelProto) to a TokenizerSpec. Only the wire format is read, by
// hand: a dozen fields do not justify a protobuf library.
// Source: sentencepiece_model.proto of google/sentencepiece. Not done: UNUSED pieces are never produced,
// where SentencePiece BPE would merge through them; a user-defined piece is always cut out first.
#include <bit>
#include <cstring>

#include "text/tokenizer/load_tokenizer.h"
#include "text/tokenizer/tokenizer_spec.h"
#include "text/tokenizer/utf8.h"

namespace tattletale {
namespace {

constexpr std::string_view kEscapedSpace = "\xE2\x96\x81";
constexpr size_t kMaxFileBytes = size_t{512} << 20;

enum PieceType : uint64_t {
  kNormal = 1,
  kUnknown = 2,
  kControl = 3,
  kUserDefined = 4,
  kUnused = 5,
  kByte = 6
};
enum ModelType : uint64_t { kUnigram = 1, kBpe = 2 };

/// Walks the fields of one protobuf message.
class Message {
 public:
  Message(std::string_view bytes, std::string where) : bytes_(bytes), where_(std::move(where)) {}

  uint32_t number = 0;       // of the field just read
  uint64_t value = 0;        // varint and fixed fields
  std::string_view content;  // length-delimited fields

  /// Reads the next field; false at the end.
  Result<bool> next() {
    if (at_ == bytes_.size()) return false;
    uint64_t tag = 0;
    TT_TRY(varint(tag));
    number = static_cast<uint32_t>(tag >> 3);
    switch (tag & 7) {
      case 0: TT_TRY(varint(value)); return true;
      case 1: TT_TRY(fixed(8)); return true;
      case 5: TT_TRY(fixed(4)); return true;
      case 2: {
        uint64_t size = 0;
        TT_TRY(varint(size));
        if (size > bytes_.size() - at_)
          return bad("a field of " + std::to_string(size) + " bytes passes the end");
        content = bytes_.substr(at_, size);
        at_ += size;
        return true;
      }
      default: return bad("wire type " + std::to_string(tag & 7));
    }
  }

  Error bad(const std::string& what) const {
    return make_error(ErrorKind::bad_file, where_,
                      "not a SentencePiece model: " + what + " (near byte " + std::to_string(at_) + ")");
  }

 private:
  Result<void> varint(uint64_t& out) {
    out = 0;
    for (int shift = 0; shift < 64; shift += 7) {
      if (at_ == bytes_.size()) break;
      const auto byte = static_cast<uint8_t>(bytes_[at_++]);
      out |= static_cast<uint64_t>(byte & 0x7F) << shift;
      if (byte < 0x80) return {};
    }
    return bad("a number is cut off");
  }
  Result<void> fixed(size_t size) {
    if (bytes_.size() - at_ < size) return bad("a number is cut off");
    value = 0;
    std::memcpy(&value, bytes_.data() + at_, size);
    at_ += size;
    return {};
  }

  std::string_view bytes_;
  std::string where_;
  size_t at_ = 0;
};

struct TrainerFields {
  uint64_t model_type = kUnigram;
  bool byte_fallback = false;
  bool whitespace_as_suffix = false;
  int32_t unk_id = 0, bos_id = 1, eos_id = 2, pad_id = -1;
};

struct NormalizerFields {
  std::string charsmap;
  bool add_dummy_prefix = true, remove_extra_whitespaces = true, escape_whitespaces = true;
};

class SentencePieceLoader {
 public:
  SentencePieceLoader(std::string_view proto, std::string_view where, SentencePieceOptions options)
      : where_(where), options_(options), copy_(std::make_shared<std::string>(proto)) {}

  Result<TokenizerSpec> run() {
    spec_.where = where_;
    spec_.owner = copy_;
    Message message(*copy_, where_);
    for (;;) {
      TT_ASSIGN(const bool more, message.next());
      if (!more) break;
      if (message.number == 1) TT_TRY(read_piece(message.content));
      if (message.number == 2) TT_TRY(read_trainer(message.content));
      if (message.number == 3) TT_TRY(read_normalizer(message.content));
    }
    if (spec_.tokens.empty())
      return make_error(ErrorKind::bad_file, where_, "not a SentencePiece model: it has no pieces");
    TT_TRY(fill_model());
    fill_normalizer();
    return std::move(spec_);
  }

 private:
  Result<void> read_piece(std::string_view bytes) {
    Message message(bytes, where_ + ": piece " + std::to_string(spec_.tokens.size()));
    std::string_view text;
    float score = 0;
    uint64_t type = kNormal;
    for (;;) {
      TT_ASSIGN(const bool more, message.next());
      if (!more) break;
      if (message.number == 1) text = message.content;
      if (message.number == 2) score = std::bit_cast<float>(static_cast<uint32_t>(message.value));
      if (message.number == 3) type = message.value;
    }
    if (text.empty() || !is_valid_utf8(text)) return message.bad("its text is empty or not UTF-8");
    if (type < kNormal || type > kByte)
      return message.bad("its type " + std::to_string(type) + " is unknown");
    if (spec_.tokens.size() >= kMaxTokens) {
      return make_error(ErrorKind::limit_exceeded, where_,
                        "more than " + std::to_string(kMaxTokens) + " pieces");
    }
    const auto id = static_cast<TokenId>(spec_.tokens.size());
    if (type == kControl || type == kUnknown || type == kUserDefined) {
      AddedToken token{.id = id, .content = std::string(text), .special = type != kUserDefined};
      spec_.added.push_back(std::move(token));
    }
    has_bytes_ = has_bytes_ || type == kByte;
    spec_.tokens.push_back(text);
    spec_.scores.push_back(score);
    spec_.not_in_text.push_back(type != kNormal && type != kUserDefined);
    return {};
  }

  Result<void> read_trainer(std::string_view bytes) {
    Message message(bytes, where_ + ": trainer_spec");
    const auto id = [&] { return static_cast<int32_t>(message.value); };
    for (;;) {
      TT_ASSIGN(const bool more, message.next());
      if (!more) return {};
      switch (message.number) {
        case 3: trainer_.model_type = message.value; break;
        case 24: trainer_.whitespace_as_suffix = message.value != 0; break;
        case 35: trainer_.byte_fallback = message.value != 0; break;
        case 40: trainer_.unk_id = id(); break;
        case 41: trainer_.bos_id = id(); break;
        case 42: trainer_.eos_id = id(); break;
        case 43: trainer_.pad_id = id(); break;
        default: break;
      }
    }
  }

  Result<void> read_normalizer(std::string_view bytes) {
    Message message(bytes, where_ + ": normalizer_spec");
    for (;;) {
      TT_ASSIGN(const bool more, message.next());
      if (!more) return {};
      switch (message.number) {
        case 2: normalizer_.charsmap = message.content; break;
        case 3: normalizer_.add_dummy_prefix = message.value != 0; break;
        case 4: normalizer_.remove_extra_whitespaces = message.value != 0; break;
        case 5: normalizer_.escape_whitespaces = message.value != 0; break;
        default: break;
      }
    }
  }

  Result<void> fill_model() {
    const auto unsupported = [&](std::string what) {
      return make_error(ErrorKind::unsupported, where_, "SentencePiece model with " + std::move(what));
    };
    if (trainer_.model_type != kUnigram && trainer_.model_type != kBpe) {
      return unsupported("model_type " + std::to_string(trainer_.model_type) +
                         "; supported: 1 (unigram), 2 (bpe)");
    }
    if (trainer_.whitespace_as_suffix) return unsupported("treat_whitespace_as_suffix");
    if (!normalizer_.escape_whitespaces) return unsupported("escape_whitespaces = false");
    spec_.model = trainer_.model_type == kBpe ? TokenModel::bpe_scored : TokenModel::unigram;
    spec_.single_precision = true;
    spec_.byte_fallback = trainer_.byte_fallback && has_bytes_;
    spec_.fuse_unk = true;
    spec_.unk_id = id_or_none(trainer_.unk_id);
    spec_.bos_id = id_or_none(trainer_.bos_id);
    spec_.eos_id = id_or_none(trainer_.eos_id);
    spec_.pad_id = id_or_none(trainer_.pad_id);
    if (options_.add_bos && spec_.bos_id) spec_.prefix_ids.push_back(*spec_.bos_id);
    if (options_.add_eos && spec_.eos_id) spec_.suffix_ids.push_back(*spec_.eos_id);
    return {};
  }

  std::optional<TokenId> id_or_none(int32_t id) const {
    if (id < 0 || static_cast<size_t>(id) >= spec_.tokens.size()) return std::nullopt;
    return static_cast<TokenId>(id);
  }

  void fill_normalizer() {
    auto& steps = spec_.normalizer;
    if (!normalizer_.charsmap.empty()) {
      steps.push_back({.kind = NormalizerKind::charsmap, .content = normalizer_.charsmap});
    }
    if (normalizer_.remove_extra_whitespaces) {
      steps.push_back({.kind = NormalizerKind::strip, .first_only = true});
      steps.push_back({.kind = NormalizerKind::collapse_spaces});
    }
    if (normalizer_.add_dummy_prefix) {
      steps.push_back(
          {.kind = NormalizerKind::prepend, .content = std::string(kEscapedSpace), .first_only = true});
    }
    spec_.prefix_before_tokens = normalizer_.add_dummy_prefix;
    steps.push_back({.kind = NormalizerKind::replace, .pattern = " ", .content = std::string(kEscapedSpace)});
    spec_.decode.space_escape = true;
    spec_.decode.strip_leading_spaces =
        normalizer_.add_dummy_prefix || normalizer_.remove_extra_whitespaces ? 1 : 0;
  }

  std::string where_;
  SentencePieceOptions options_;
  std::shared_ptr<std::string> copy_;
  TokenizerSpec spec_;
  TrainerFields trainer_;
  NormalizerFields normalizer_;
  bool has_bytes_ = false;
};

}  // namespace

Result<std::shared_ptr<const Tokenizer>> load_sentencepiece(std::string_view proto, std::string_view where,
                                                            SentencePieceOptions options) {
  if (proto.size() > kMaxFileBytes) {
    return make_error(
        ErrorKind::limit_exceeded, std::string(where),
        "a tokenizer.model of " + std::to_string(proto.size()) + " bytes; at most 512 MiB is read");
  }
  SentencePieceLoader loader(proto, where, options);
  TT_ASSIGN(TokenizerSpec spec, loader.run());
  return Tokenizer::build(std::move(spec));
}

}  // namespace tattletale
