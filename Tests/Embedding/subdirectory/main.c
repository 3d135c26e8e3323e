#include "embed.h"

int main(void) {
    return embed_all("add_subdirectory");
}
