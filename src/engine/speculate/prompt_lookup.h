// Guesses the next tokens from the text itself: what came after the last place that ended as it ends now.
// Costs one scan of the tokens and no model. Source: Saxena 2023, "Prompt Lookup Decoding".
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace tattletale {

/// drafts := up to max_drafts tokens that followed the latest of the longest earlier occurrences (of 2 to 8
/// tokens) of the sequence's end; none if there is no such place.
void lookup_drafts(std::span<const uint32_t> tokens, uint32_t max_drafts, std::vector<uint32_t>& drafts);

}  // namespace tattletale
