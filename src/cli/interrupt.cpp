#include "cli/interrupt.h"

#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

namespace tattletale::cli {
namespace {

volatile sig_atomic_t g_pending = 0;

extern "C" void on_interrupt(int) {
  if (g_pending != 0) {
    ::signal(SIGINT, SIG_DFL);
    ::raise(SIGINT);
  }
  g_pending = 1;
}

void set_interrupt_handler(void (*handler)(int)) {
  struct sigaction action{};
  action.sa_handler = handler;
  sigemptyset(&action.sa_mask);
  ::sigaction(SIGINT, &action, nullptr);
}

/// Waits for input with SIGINT let through only inside the wait, so that none is lost between check and wait.
bool wait_for_input() {
  sigset_t blocked;
  sigset_t before;
  sigemptyset(&blocked);
  sigaddset(&blocked, SIGINT);
  ::pthread_sigmask(SIG_BLOCK, &blocked, &before);
  pollfd input{STDIN_FILENO, POLLIN, 0};
  bool ready = g_pending == 0 && ::ppoll(&input, 1, nullptr, &before) > 0;
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return ready;
}

}  // namespace

InterruptGuard::InterruptGuard() {
  g_pending = 0;
  set_interrupt_handler(on_interrupt);
}

InterruptGuard::~InterruptGuard() {
  set_interrupt_handler(SIG_DFL);
}

bool InterruptGuard::take() {
  bool pending = g_pending != 0;
  g_pending = 0;
  return pending;
}

LineEnd LineReader::read(InterruptGuard& interrupt, std::string& line) {
  while (true) {
    if (size_t newline = buffered_.find('\n'); newline != std::string::npos) {
      line = buffered_.substr(0, newline);
      buffered_.erase(0, newline + 1);
      return LineEnd::kNewline;
    }
    char bytes[4096];
    ssize_t count = wait_for_input() ? ::read(STDIN_FILENO, bytes, sizeof bytes) : -1;
    if (count > 0) {
      buffered_.append(bytes, static_cast<size_t>(count));
      continue;
    }
    if (count < 0 && interrupt.take()) {
      buffered_.clear();
      line.clear();
      return LineEnd::kInterrupted;
    }
    if (count < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    line = std::exchange(buffered_, {});
    return LineEnd::kEndOfInput;
  }
}

}  // namespace tattletale::cli
