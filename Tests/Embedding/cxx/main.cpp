#include "embed.h"

int main() {
    return embed_all("find_package from C++");
}
