// The headers are all there is; compiling them once checks their assertions in every build.
#include "xive.h"
#include "xive_client.h"
