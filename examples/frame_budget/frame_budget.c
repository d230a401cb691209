/* A game loop with a talking character: each frame gives the language model what is left of a time budget.
 * Shows loading, a session, stepping within a budget, polling text and freeing. Plain C11, one thread.
 *
 *   frame_budget MODEL.gguf "What is your quest?"
 */
#define _POSIX_C_SOURCE 200809L
#include <stdio.h>
#include <time.h>

#include "tattletale/tattletale.h"

/* 60 frames a second, of which the model may have 10 ms. */
static const double kFrameSeconds = 1.0 / 60.0;
static const double kModelBudgetSeconds = 0.010;

static double now_seconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static void sleep_seconds(double seconds) {
  if (seconds <= 0) return;
  struct timespec pause = {(time_t)seconds, (long)((seconds - (double)(time_t)seconds) * 1e9)};
  nanosleep(&pause, NULL);
}

/* Steps the model while another step is likely to fit; tt_step_for cuts a long prompt to what is left of the
 * budget. One step is always taken, so that the answer moves on even when its one token takes longer. Returns
 * TT_OK or the status of the step that failed. */
static tt_status step_within(tt_model* model, double budget_seconds, double* step_seconds, tt_error* error) {
  double start = now_seconds();
  int more = 1;
  do {
    double begin = now_seconds();
    double left = budget_seconds - (begin - start);
    tt_status status = tt_step_for(model, (uint64_t)(left * 1e6) + 1, &more, error);
    if (status != TT_OK) return status;
    /* The slowest step of late, forgotten slowly. */
    double took = now_seconds() - begin;
    *step_seconds = took > *step_seconds ? took : 0.9 * *step_seconds + 0.1 * took;
  } while (more && now_seconds() - start + *step_seconds < budget_seconds);
  return TT_OK;
}

/* Prints what the character says, frame by frame. */
static tt_status talk(tt_model* model, tt_session* session, tt_error* error) {
  double step_seconds = 0;
  unsigned frames = 0;
  tt_progress progress = {.struct_size = sizeof progress};
  do {
    double frame_start = now_seconds();
    /* ... input, physics and drawing go here ... */
    tt_status status = step_within(model, kModelBudgetSeconds, &step_seconds, error);
    if (status != TT_OK) return status;
    tt_string text = {0};
    status = tt_poll(session, &text, &progress, error);
    if (status == TT_OK) {
      fwrite(text.data, 1, text.length, stdout);
      fflush(stdout);
    }
    tt_string_free(&text);
    if (status != TT_OK) return status;
    ++frames;
    sleep_seconds(kFrameSeconds - (now_seconds() - frame_start));
  } while (progress.finish == TT_RUNNING);
  printf("\n");
  fprintf(stderr, "%u frames, %llu tokens\n", frames, (unsigned long long)progress.generated_tokens);
  return TT_OK;
}

int main(int argc, char** argv) {
  if (argc != 3) {
    fprintf(stderr, "usage: %s MODEL PROMPT\n", argv[0]);
    return 2;
  }
  tt_error error = {{0}};
  tt_model* model = NULL;
  tt_session* session = NULL;

  tt_model_options options;
  tt_model_options_defaults(&options);
  options.num_threads = 1; /* the others draw */
  options.context_tokens = 1024;
  tt_status status = tt_model_load(argv[1], &options, &model, &error);
  if (status == TT_OK) status = tt_session_create(model, &session, &error);
  if (status == TT_OK) {
    tt_request request;
    tt_request_defaults(model, &request);
    request.text = argv[2];
    request.max_new_tokens = 48;
    status = tt_submit(session, &request, &error);
  }
  if (status == TT_OK) status = talk(model, session, &error);
  if (status != TT_OK) fprintf(stderr, "frame_budget: %s\n", error.message);

  tt_session_free(session);
  tt_model_free(model);
  return status == TT_OK ? 0 : 1;
}
