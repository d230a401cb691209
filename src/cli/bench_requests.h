// The half of `tattletale bench` that serves a trace of requests.
#pragma once

#include "cli/options.h"

namespace tattletale::cli {

/// Serves the trace of --requests, --concurrency at a time, and prints what it measured.
Outcome<ExitCode> bench_requests(const Options& options);

/// Prints the trace of --make-trace.
Outcome<ExitCode> print_trace(const Options& options);

}  // namespace tattletale::cli
