// The header is all there is; compiling it once checks its assertions in every build.
#include "xive.h"
