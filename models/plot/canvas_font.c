/* canvas_font.c - the font of plots: 95 characters of ASCII as strokes, drawn for clio. How they are written down is told in canvas.h.
 * Capitals and digits are 10 units high (D to N), small letters 7 (D to K), descenders end at -3 (A). All upright stems stand on whole
 * units, which are pixels at scale 1: they come out sharp. Digits have one width, so that numbers in a column stand below each other. */
#include "canvas.h"

static const char *const strokes[95] = {
    "",                                          /* space */
    "0N0G 0D0D",                                 /* ! */
    "0N0L 3N3L",                                 /* " */
    "1D3N 5D7N 0G7G 1K8K",                       /* # */
    "6L5n3N0n0L0j6h6F6d3D1d0F 3O3C",             /* $ */
    "2N0n0j2J4j4n2N 7H5h5d7D9d9h7H 8N1D",        /* % */
    "8D2K1n3N5n5L5k2I0h0F0d3D6d7H",              /* & */
    "0N0L",                                      /* ' */
    "2O0l0d2B",                                  /* ( */
    "0O2l2d0B",                                  /* ) */
    "2N2J 0M4K 0K4M",                            /* * */
    "0H6H 3K3E",                                 /* + */
    "1D1D 1D0B",                                 /* , */
    "0H4H",                                      /* - */
    "0D0D",                                      /* . */
    "0C4O",                                      /* / */
    "3N0n0d6d6n3N",                              /* 0 */
    "1L4N4D",                                    /* 1 */
    "0L0n3N6n6K6i0D6D",                          /* 2 */
    "0M1n3N6n6i3I2I 3I6i6d3D1d0E",               /* 3 */
    "5D5N0G6G",                                  /* 4 */
    "6N1N0I1j3J6j6d3D1d0E",                      /* 5 */
    "6M5n3N0n0G0d3D6d6j3J0j0G",                  /* 6 */
    "0N6N2D",                                    /* 7 */
    "3N0n0i3I6i6n3N 3I0i0d3D6d6i3I",             /* 8 */
    "0E1d3D6d6K6n3N0n0h3H6h6K",                  /* 9 */
    "0D0D 0J0J",                                 /* : */
    "1D1D 1D0B 1J1J",                            /* ; */
    "6K0H6E",                                    /* < */
    "0J6J 0F6F",                                 /* = */
    "0K6H0E",                                    /* > */
    "0L0n3N6n6L6j3I3G 3D3D",                     /* ? */
    "8D7c5C0c0m5M9m9I9f7F6f6H 6H6j4J2j2f4F6f6H", /* @ */
    "0D4N8D 1G7G",                               /* A */
    "0D0N4N6n6i4I0I 4I7i7d4D0D",                 /* B */
    "8L7n4N0n0d4D7d8F",                          /* C */
    "0D0N3N7n7d3D0D",                            /* D */
    "6N0N0D6D 0I5I",                             /* E */
    "6N0N0D 0I5I",                               /* F */
    "8L7n4N0n0d4D8d8G8H5H",                      /* G */
    "0N0D 7N7D 0I7I",                            /* H */
    "0N0D",                                      /* I */
    "4N4G4d2D0d0G",                              /* J */
    "0N0D 6N0G 2I6D",                            /* K */
    "0N0D5D",                                    /* L */
    "0D0N4D8N8D",                                /* M */
    "0D0N7D7N",                                  /* N */
    "4N0n0d4D8d8n4N",                            /* O */
    "0D0N4N7n7h4H0H",                            /* P */
    "4N0n0d4D8d8n4N 5F8C",                       /* Q */
    "0D0N4N7n7i4I0I 4I7D",                       /* R */
    "7L6n4N3N0n0L0j7h7F7d4D3D1d0F",              /* S */
    "0N8N 4N4D",                                 /* T */
    "0N0G0d7d7G7N",                              /* U */
    "0N4D8N",                                    /* V */
    "0N3D6N9DcN",                                /* W */
    "0N7D 7N0D",                                 /* X */
    "0N4I8N 4I4D",                               /* Y */
    "0N7N0D7D",                                  /* Z */
    "2O0O0B2B",                                  /* [ */
    "0O4C",                                      /* backslash */
    "0O2O2B0B",                                  /* ] */
    "0K2N4K",                                    /* ^ */
    "0C6C",                                      /* _ */
    "0N1L",                                      /* ` */
    "0J0k2K3K5k5I5D 5H2H0h0d2D3D5d5F",           /* a */
    "0N0D 0H0k3K6k6d3D0d0G",                     /* b */
    "5J5k3K0k0d3D5d5E",                          /* c */
    "6N6D 6H6k3K0k0d3D6d6G",                     /* d */
    "0H6H6k3K0k0d3D5d6E",                        /* e */
    "4N3N1n1L1D 0K4K",                           /* f */
    "6H6k3K0k0d3D6d6G 6K6C6a3A1a0B",             /* g */
    "0N0D 0H0k3K5k5H5D",                         /* h */
    "0K0D 0N0N",                                 /* i */
    "2K2C2a0A 2N2N",                             /* j */
    "0N0D 5K0F 2H5D",                            /* k */
    "0N0D",                                      /* l */
    "0K0D 0H0k2K4k4H4D 4H4k6K8k8H8D",            /* m */
    "0K0D 0H0k3K5k5H5D",                         /* n */
    "3K0k0d6d6k3K",                              /* o */
    "0K0A 0H0k3K6k6d3D0d0G",                     /* p */
    "6K6A 6H6k3K0k0d3D6d6G",                     /* q */
    "0K0D 0H0k3K",                               /* r */
    "5J4k3K2K0k0I0h5g5F5d3D2D1d0E",              /* s */
    "1M1F1d3D4D 0K4K",                           /* t */
    "0K0G0d2D5d5G 5K5D",                         /* u */
    "0K3D6K",                                    /* v */
    "0K2D4K6D8K",                                /* w */
    "0K5D 5K0D",                                 /* x */
    "0K3D 6K2B1a0A",                             /* y */
    "0K5K0D5D",                                  /* z */
    "3O1o1M1J1h0H 0H1h1F1E1b3B",                 /* { */
    "0O0B",                                      /* | */
    "0O2o2M2J2h3H 3H2h2F2E2b0B",                 /* } */
    "0G1j3H5f6I",                                /* ~ */
};

const char *font_strokes(int character)
{
    return character >= 32 && character < 127 ? strokes[character - 32] : strokes['?' - 32];
}

int font_width(int character)
{
    int width = 0;
    if (character == ' ')
        return 3;
    if (character >= '0' && character <= '9')
        return 6;
    for (const char *p = font_strokes(character); *p; p += *p == ' ' ? 1 : 2)
        if (*p != ' ')
            width = MAX(width, *p <= '9' ? *p - '0' : *p - 'a' + 10);
    return width;
}
