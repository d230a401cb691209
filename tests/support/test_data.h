// Where the recorded data of tests lies: TATTLETALE_TEST_DATA, for a test program that was carried to another
// machine, else the folder of the source tree that it was built from.
#pragma once

#include <cstdlib>
#include <string>

namespace tattletale::testing {

inline std::string test_data_folder() {
  const char* chosen = std::getenv("TATTLETALE_TEST_DATA");
  return chosen != nullptr && *chosen != '\0' ? chosen : TT_TEST_DATA;
}

}  // namespace tattletale::testing
