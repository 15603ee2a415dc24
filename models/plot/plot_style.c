/* plot_style.c - colours and dashes of a plot's series. */
#include "plot_private.h"

const struct colour plot_ink = {38, 38, 38}, plot_grey = {95, 95, 95};

/* After Okabe and Ito's colours, which the colour-blind can tell apart; darker on white, the strong ones first. */
static const struct colour colours[] = {{0, 105, 180}, {213, 84, 0},   {0, 150, 110}, {190, 90, 160},
                                        {225, 150, 0}, {70, 165, 220}, {90, 90, 90}};

struct colour plot_colour(size_t k)
{
    return colours[k % COUNT(colours)];
}

bool plot_is_dashed(size_t k)
{
    return k / COUNT(colours) % 2 == 1;
}
