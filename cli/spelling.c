/* spelling.c - see spelling.h. */
#include "spelling.h"

#include <string.h>

bool spelling_matches(const char *names, const char *word)
{
    size_t length = strcspn(word, "="), dashes = strspn(word, "-");
    for (const char *name = names; *name; name += strspn(name, " ")) {
        size_t n = strcspn(name, " "), skip = strspn(name, "-");
        bool same_dashes = skip == dashes || (n - skip > 1 && (dashes == 1 || dashes == 2));
        if (same_dashes && n - skip == length - dashes && !strncmp(name + skip, word + dashes, n - skip))
            return true;
        name += n;
    }
    return false;
}
