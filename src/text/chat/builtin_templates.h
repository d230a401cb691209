// Templates of our own for models that carry none. They write the plain turn formats, without tools.
#pragma once

#include <string_view>

namespace tattletale {

struct BuiltinTemplate {
  std::string_view name;
  std::string_view source;
};

/// Joins the text parts of a content that is a list; a null content is empty.
#define TT_CHAT_TEXT_MACRO                                                                            \
  "{%- macro text_of(content) -%}"                                                                    \
  "{%- if content is string -%}{{ content }}"                                                         \
  "{%- elif content is not none and content is defined -%}"                                           \
  "{%- for part in content -%}"                                                                       \
  "{%- if part.type != 'text' -%}{{ raise_exception('this template takes text only') }}{%- endif -%}" \
  "{{ part.text }}{%- endfor -%}"                                                                     \
  "{%- endif -%}{%- endmacro -%}"                                                                     \
  "{%- if tools %}{{ raise_exception('this template knows no tools') }}{%- endif -%}"

inline constexpr BuiltinTemplate kBuiltinTemplates[] = {
    {"chatml", TT_CHAT_TEXT_MACRO
     "{%- for message in messages -%}"
     "{{ '<|im_start|>' + message.role + '\n' + text_of(message.content) + '<|im_end|>\n' }}"
     "{%- endfor -%}"
     "{%- if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif -%}"},
    {"llama3", TT_CHAT_TEXT_MACRO
     "{{- bos_token -}}"
     "{%- for message in messages -%}"
     "{{ '<|start_header_id|>' + message.role + '<|end_header_id|>\n\n' + text_of(message.content) | trim + "
     "'<|eot_id|>' }}"
     "{%- endfor -%}"
     "{%- if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif -%}"},
    {"gemma", TT_CHAT_TEXT_MACRO
     "{{- bos_token -}}"
     "{%- set ns = namespace(lead='') -%}"
     "{%- for message in messages -%}"
     "{%- if message.role == 'system' and loop.first -%}"
     "{%- set ns.lead = text_of(message.content) | trim + '\n\n' -%}"
     "{%- else -%}"
     "{{ '<start_of_turn>' + ('model' if message.role == 'assistant' else message.role) + '\n' + ns.lead + "
     "text_of(message.content) | trim + '<end_of_turn>\n' }}"
     "{%- set ns.lead = '' -%}"
     "{%- endif -%}"
     "{%- endfor -%}"
     "{%- if add_generation_prompt %}{{ '<start_of_turn>model\n' }}{% endif -%}"},
    {"mistral", TT_CHAT_TEXT_MACRO
     "{{- bos_token -}}"
     "{%- set ns = namespace(lead='') -%}"
     "{%- for message in messages -%}"
     "{%- if message.role == 'system' -%}"
     "{%- set ns.lead = text_of(message.content) + '\n\n' -%}"
     "{%- elif message.role == 'user' -%}"
     "{{ '[INST] ' + ns.lead + text_of(message.content) + ' [/INST]' }}{%- set ns.lead = '' -%}"
     "{%- elif message.role == 'assistant' -%}"
     "{{ ' ' + text_of(message.content) | trim + eos_token }}"
     "{%- else -%}{{ raise_exception('roles are system, user and assistant') }}"
     "{%- endif -%}"
     "{%- endfor -%}"},
};
#undef TT_CHAT_TEXT_MACRO

}  // namespace tattletale
