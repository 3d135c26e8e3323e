/* A search path may not leave the package, an include may. */
#include "../../../embed.h"

int main(void) {
    return embed_all("SwiftPM, C");
}
