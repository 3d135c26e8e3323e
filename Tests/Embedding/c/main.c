#include "embed.h"

int main(void) {
    return embed_all("find_package from C");
}
