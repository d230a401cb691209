/* Tattletale: the C interface. Everything the command line does goes through this header.
 *
 * Objects are opaque. A call that can fail returns a tt_status and, when `error` is not null, a message that
 * says where, what was found and what to do. Strings are UTF-8. Nothing throws, prints or exits.
 * Threads: a tt_model and all its sessions may be used from any thread; calls on one model are serialised.
 * Structs that grow start with their own size, so that a program built against an older header keeps working:
 * fill them with the tt_*_defaults functions first.
 */
#ifndef TATTLETALE_H
#define TATTLETALE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define TT_API_VERSION 3

typedef enum tt_status {
  TT_OK = 0,
  TT_INVALID_ARGUMENT = 1, /* the request can never work as it stands */
  TT_NOT_FOUND = 2,        /* a file, tensor or name that is not there */
  TT_BAD_FILE = 3,         /* a model file that breaks its own format */
  TT_UNSUPPORTED = 4,      /* well-formed, but not something this build computes */
  TT_OUT_OF_MEMORY = 5,
  TT_IO = 6,
  TT_LIMIT_EXCEEDED = 7, /* more than a documented limit, e.g. the context */
  TT_CANCELLED = 8,
  TT_DEVICE_LOST = 9,
  TT_INTERNAL = 10
} tt_status;

/* A message, always terminated; cut at the end of the buffer. */
typedef struct tt_error {
  char message[1024];
} tt_error;

typedef struct tt_model tt_model;
typedef struct tt_session tt_session;

/* A string or array made by the library; free with tt_string_free or tt_tokens_free. */
typedef struct tt_string {
  char* data; /* terminated; length does not count the terminator */
  size_t length;
} tt_string;
typedef struct tt_tokens {
  uint32_t* data;
  size_t length;
} tt_tokens;
void tt_string_free(tt_string* string);
void tt_tokens_free(tt_tokens* tokens);

uint32_t tt_api_version(void); /* TT_API_VERSION of the library */
const char* tt_version(void);  /* "0.1.0" */
const char* tt_status_name(tt_status status);

/* ---- Devices ------------------------------------------------------------------------------------------- */

/* JSON array of the devices of this machine: backend, name, isa, threads, memory_bytes. */
tt_status tt_devices_json(tt_string* out, tt_error* error);

/* Since TT_API_VERSION 3. Checks devices: every kernel is run on test cases and compared with a slow and
 * obvious computation of the same. */
typedef struct tt_doctor_progress {
  size_t struct_size;
  const char* device; /* "vulkan:1" */
  const char* kernel;
  uint64_t num_done; /* cases of this kernel */
  uint64_t num_cases;
  uint64_t num_failed;
} tt_doctor_progress;

typedef struct tt_doctor_options {
  size_t struct_size;
  const char* device;    /* "all", or as tt_model_options.device; null is "all" */
  uint32_t num_threads;  /* of the CPU; 0: one per core this process may use */
  uint32_t max_failures; /* reported for each kernel, all are counted; 0: 3 */
  int quick;             /* 1: one case in eight and the last, for slow software drivers */
  /* Called before each case from the thread of tt_doctor_json; may be null. Not 0: stop, TT_CANCELLED. */
  int (*progress)(void* user, const tt_doctor_progress* progress);
  void* user;
} tt_doctor_options;
void tt_doctor_options_defaults(tt_doctor_options* options);

/* JSON object: passed, quick, devices: [{device, backend, name, driver, passed, seconds, error (where it
 * could not be opened, was lost, or supports no case), kernels: [{kernel, passed, num_cases, num_run,
 * num_failed, num_skipped, failures: [{case, what, and for a wrong number: binding, num_wrong, element, got,
 * expected, allowed_difference; numbers as text}], skipped: [{reason, count, first_case}]}]}]. TT_OK also
 * when kernels failed: look at passed. A named device that cannot be opened is an error. */
tt_status tt_doctor_json(const tt_doctor_options* options, tt_string* out, tt_error* error);

/* ---- Kernels ------------------------------------------------------------------------------------------- */

/* Since TT_API_VERSION 3. JSON array: kernel, num_bindings, num_cases (of the check above), bodies (names of
 * the programs that accelerators run for it). */
tt_status tt_kernels_json(tt_string* out, tt_error* error);

typedef struct tt_kernel_dump_options {
  size_t struct_size;
  const char* kernel;       /* a kernel, or one of its bodies */
  const char* target;       /* "cuda", "opencl", "spirv", "wgsl" or "ir" */
  const char* device_class; /* "sm_90", "vulkan-minimum", ...: docs/cli.md; null: the target's first */
  uint64_t case_index;      /* which case's program; UINT64_MAX: the first that has one */
  int before_passes;        /* 1: as traced, not optimised */
} tt_kernel_dump_options;
void tt_kernel_dump_options_defaults(tt_kernel_dump_options* options);

/* The text of a program; of several, where a case of the kernel needs them, one after the other. For "spirv"
 * the bytes of one module. Opens no driver. Errors: TT_INVALID_ARGUMENT with the list of right names. */
tt_status tt_kernel_dump(const tt_kernel_dump_options* options, tt_string* out, tt_error* error);

/* ---- Models -------------------------------------------------------------------------------------------- */

typedef struct tt_model_options {
  size_t struct_size;
  const char* device;      /* "auto" or "cpu"; null is "auto" */
  uint32_t num_threads;    /* 0: one per core this process may use */
  uint64_t context_tokens; /* longest prompt + answer; 0: the model's own, as far as a quarter of memory holds
                              it */
  uint64_t kv_tokens;      /* tokens of KV cache shared by all sessions; 0: context_tokens */
  const char* kv_dtype;    /* "f16", "bf16" or "f32"; null is "f16" */
  uint32_t page_tokens;    /* 16..256, a power of two; 0: the default */
  uint32_t step_tokens;    /* most tokens computed in one step (prefill chunk); 0: 512 */
  /* Since TT_API_VERSION 2. */
  const char* draft_model; /* a small model with the same tokens, for TT_SPECULATE_DRAFT_MODEL; null: none */
} tt_model_options;
void tt_model_options_defaults(tt_model_options* options);

/* Loads a .gguf file, a Hugging Face folder (config.json, *.safetensors, tokenizer), or
 * "synthetic:<shape>:<format>" with random weights and no tokenizer. */
tt_status tt_model_load(const char* path, const tt_model_options* options, tt_model** out, tt_error* error);

/* Frees the model once its sessions are freed; null is ignored. */
void tt_model_free(tt_model* model);

/* JSON object: arch, format, parameters, weight_bytes, decode_weight_bytes, context_tokens, layers, dims,
 * rope, tokenizer, chat_template, device, threads, kv_page_tokens, kv_bytes_per_token, allocated_bytes. */
tt_status tt_model_info_json(tt_model* model, tt_string* out, tt_error* error);

/* As tt_model_info_json but for a file, without loading it on a device: metadata keys and every tensor with
 * name, dtype, shape and bytes are added. */
tt_status tt_inspect_json(const char* path, tt_string* out, tt_error* error);

/* ---- Text ---------------------------------------------------------------------------------------------- */

#define TT_TOKENIZE_ADD_SPECIAL 1u   /* BOS/EOS as the model wants */
#define TT_TOKENIZE_PARSE_SPECIAL 2u /* "<|im_start|>" in the text becomes the special token */
/* Loads only the tokenizer when `model` was made by tt_tokenizer_load. */
tt_status tt_tokenize(tt_model* model, const char* text, size_t length, uint32_t flags, tt_tokens* out,
                      tt_error* error);
tt_status tt_detokenize(tt_model* model, const uint32_t* tokens, size_t num_tokens, int skip_special,
                        tt_string* out, tt_error* error);
/* A model that can only tokenize, detokenize and apply its chat template: opens in milliseconds. */
tt_status tt_tokenizer_load(const char* path, tt_model** out, tt_error* error);

/* Renders messages (JSON array of {"role", "content", ...}) and tools (JSON array or null) by the model's
 * chat template, ending where the assistant's answer begins. */
tt_status tt_apply_chat_template(tt_model* model, const char* messages_json, const char* tools_json,
                                 tt_string* out, tt_error* error);

/* ---- Generation ---------------------------------------------------------------------------------------- */

/* A place for one answer at a time. What any session's request has computed stays cached for all of them,
 * until its memory is needed: a prompt computes only what follows its longest cached beginning. */
tt_status tt_session_create(tt_model* model, tt_session** out, tt_error* error);
void tt_session_free(tt_session* session); /* cancels what runs; null is ignored */

typedef enum tt_speculation {
  TT_SPECULATE_NONE = 0,
  TT_SPECULATE_PROMPT_LOOKUP = 1, /* guess what followed when the text last ended as it does now */
  TT_SPECULATE_DRAFT_MODEL = 2    /* guess by the model of tt_model_options.draft_model */
} tt_speculation;

typedef struct tt_token_bias {
  uint32_t token;
  float bias;
} tt_token_bias;

typedef struct tt_request {
  size_t struct_size;
  /* The prompt: exactly one of these. */
  const char* text;          /* tokenized with special tokens parsed and BOS added */
  const char* messages_json; /* rendered by the chat template */
  const uint32_t* tokens;
  size_t num_tokens;

  uint32_t max_new_tokens;    /* 0: up to the context's end */
  float temperature;          /* 0: greedy */
  uint32_t top_k;             /* 0: off */
  float top_p;                /* 1: off */
  float min_p;                /* 0: off */
  float repetition_penalty;   /* 1: off */
  uint32_t repetition_window; /* last tokens it looks at; 0: all */
  uint64_t seed;              /* same seed, prompt and options: same text */
  const char* const* stop;    /* stop strings, not part of the answer */
  size_t num_stop;
  int ignore_end; /* 1: go on past the model's end-of-text tokens (benchmarks) */

  /* Since TT_API_VERSION 2. */
  const uint32_t* stop_tokens; /* end the answer as the model's own end tokens do; not part of it */
  size_t num_stop_tokens;
  float typical_p;         /* 1: off */
  float presence_penalty;  /* 0: off; taken off what the answer has already */
  float frequency_penalty; /* 0: off; likewise for each time */
  float dry_multiplier;    /* 0: off; penalty on repeating a sequence: multiplier * base^(length - allowed) */
  float dry_base;          /* 1.75 */
  uint32_t dry_allowed_length;     /* 2 */
  uint32_t dry_window;             /* last tokens it looks at; 0: all */
  const char* const* dry_breakers; /* no repetition reaches across a token with one of these texts in it;
                                      null: newline, colon, quotation mark and asterisk */
  size_t num_dry_breakers;
  const tt_token_bias* logit_bias; /* added to logits; -INFINITY forbids a token */
  size_t num_logit_bias;
  int logprobs;          /* 1: tt_poll_logprobs gives the log probability of each token of the answer */
  uint32_t top_logprobs; /* and of this many likeliest tokens in its place, at most 128 */
  int speculation; /* a tt_speculation: guess tokens and check several in one step. The answer is the same
                      token for token, greedy or sampled; it may come sooner */
  uint32_t max_draft_tokens; /* tokens guessed at once; 0: 8 */
  uint64_t timeout_us;       /* ends with TT_FINISH_DEADLINE this long after its submission; 0: never */
} tt_request;
/* Greedy settings replaced by the model's generation_config.json where it has one. */
void tt_request_defaults(tt_model* model, tt_request* request);

/* Starts an answer. Errors at once: a prompt longer than the context (TT_LIMIT_EXCEEDED with both numbers), a
 * session that is still answering, sampling values out of range. The strings and arrays are copied. */
tt_status tt_submit(tt_session* session, const tt_request* request, tt_error* error);

/* Starts several answers to one prompt, which is computed once: session i gives the answer of seed + i.
 * Errors as tt_submit's, for any of the sessions; then none is started. */
tt_status tt_submit_choices(tt_session* const* sessions, size_t num_sessions, const tt_request* request,
                            tt_error* error);

typedef enum tt_finish {
  TT_RUNNING = 0,
  TT_FINISH_STOP = 1, /* the model ended its answer */
  TT_FINISH_STOP_STRING = 2,
  TT_FINISH_LENGTH = 3, /* max_new_tokens or the end of the context */
  TT_FINISH_CANCELLED = 4,
  TT_FINISH_ERROR = 5, /* see tt_poll's status and error */
  TT_FINISH_DEADLINE = 6
} tt_finish;

typedef struct tt_progress {
  size_t struct_size;
  tt_finish finish;
  uint64_t prompt_tokens;
  uint64_t cached_tokens;    /* of the prompt, found in the cache */
  uint64_t computed_tokens;  /* of the prompt, so far */
  uint64_t generated_tokens; /* so far */
  /* Since TT_API_VERSION 2. */
  uint64_t forwarded_tokens; /* computed for this request: what was not cached, and what had to be repeated */
  uint64_t preemptions;      /* how often it gave its memory to older requests and came back */
  uint64_t draft_tokens;     /* guessed */
  uint64_t accepted_draft_tokens; /* guesses that were right */
} tt_progress;

/* Computes one batch for every session of the model that has work; *more is 0 when none has any left.
 * Not to be called while a background thread runs. */
tt_status tt_step(tt_model* model, int* more, tt_error* error);

/* tt_step for a host with a frame to draw: computes so many tokens as likely fit into budget_us microseconds,
 * by what steps have cost so far on this device, and at least one. 0: no bound. */
tt_status tt_step_for(tt_model* model, uint64_t budget_us, int* more, tt_error* error);

/* Runs steps on a thread of the library's own, which sleeps while there is no work. */
tt_status tt_start_thread(tt_model* model, tt_error* error);

/* Takes the text that has become ready since the last poll (whole UTF-8 characters), and how far it is. Never
 * waits. `text` and `progress` may be null. After the finish the session can be submitted to again. */
tt_status tt_poll(tt_session* session, tt_string* text, tt_progress* progress, tt_error* error);

/* Like tt_poll but gives token ids. Text and tokens are taken independently. */
tt_status tt_poll_tokens(tt_session* session, tt_tokens* tokens, tt_progress* progress, tt_error* error);

/* Log probabilities (natural, before penalties, temperature and filters) of the tokens of the answer. `top`
 * has num_top entries for each token, likeliest first. Free with tt_logprobs_free. */
typedef struct tt_token_logprob {
  uint32_t token;
  float logprob;
} tt_token_logprob;
typedef struct tt_logprobs {
  tt_token_logprob* chosen; /* num_tokens */
  tt_token_logprob* top;    /* num_tokens * num_top */
  size_t num_tokens;
  size_t num_top;
} tt_logprobs;
void tt_logprobs_free(tt_logprobs* logprobs);

/* Like tt_poll_tokens, for requests with `logprobs`: the same tokens, taken independently. */
tt_status tt_poll_logprobs(tt_session* session, tt_logprobs* logprobs, tt_progress* progress,
                           tt_error* error);

/* Ends the running answer within one step; what it has computed stays cached. */
void tt_cancel(tt_session* session);

/* Log probabilities (natural) that the model gives each token after the ones before it:
 * logprobs[i] = log P(tokens[i + 1] | tokens[0..i]), num_tokens - 1 numbers. Computed in this call, before
 * anything that runs; the session must be idle. */
tt_status tt_score(tt_session* session, const uint32_t* tokens, size_t num_tokens, float* logprobs,
                   tt_error* error);

/* Logits [vocab_size] behind the last of `tokens`; the session must be idle. */
tt_status tt_logits(tt_session* session, const uint32_t* tokens, size_t num_tokens, float* logits,
                    size_t vocab_size, tt_error* error);

#ifdef __cplusplus
} /* extern "C" */
#endif

#endif /* TATTLETALE_H */
