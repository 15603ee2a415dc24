/* overview.c - see overview.h. */
#include "overview.h"

const char overview_summary[] = "speech recognition, text-to-image and training on any OpenCL device";
const char overview_synopsis[] = "COMMAND [OPTION...] [FILE...]\nhelp [COMMAND]\n--version";
const char overview_description[] =
    "Runs and trains multimodal models on any OpenCL device, a GPU or a CPU: speech recognition and audio captioning with Whisper, "
    "text-to-image with Stable Diffusion 1 and 2, VAEs, GANs and diffusion models. It reads and writes the checkpoints of Hugging Face.\n\n"
    "Results go to standard output or to the named files, everything else to standard error. On a terminal a progress bar shows progress, "
    "elapsed time, speed and remaining time.\n\n"
    "Each command has a man page of its own, such as clio-transcribe(1); `clio COMMAND --help` prints the options.";
const char overview_options[] =
    "Options cannot be abbreviated, and letters cannot be joined: `-q -v`, not `-qv`. A value is the next word, or follows an equals sign: "
    "`--seed 3` or `--seed=3`. What follows `--` is not an option.";

static const struct term environment[] = {
    {"CLIO_DEVICE", "The device where `-d` is not given."},
    {"CLIO_MODELS", "The models folder. Default: `$XDG_DATA_HOME/clio/models`, that is `~/.local/share/clio/models`."},
    {"CLIO_CACHE_DIR", "Folder of compiled kernels. Default: `$XDG_CACHE_HOME/clio`, that is `~/.cache/clio`."},
    {"CLIO_MEMORY_LIMIT", "Device memory that clio may use, in bytes or with K, M or G: `1500M`."},
    {"CLIO_DISABLE",
     "Kernel families to turn off, separated by commas, such as `gemm.panel,clfft`; an unknown name prints the list of all. "
     "Each is compared with a C reference when it is first used on a device with its driver, and turned off alone if it fails; "
     "another path takes its place. clio-devices(1) and `-v` show the results, which are kept beside the compiled kernels."},
    {"CLIO_PARAMS", "A file of kernel parameters that take precedence over the tuned and the built-in ones."},
    {"CLIO_TUNED_DIR",
     "Folder of the files that `clio tune` writes. Default: `$XDG_CONFIG_HOME/clio/tuned`, that is `~/.config/clio/tuned`."},
    {"CLIO_CL_DIR", "A folder with kernel sources to use in place of the built-in ones. For development."},
    {"HF_HOME, HF_HUB_CACHE", "Location of the Hugging Face cache. Default: `~/.cache/huggingface`."},
    {"COLUMNS", "Width of help and progress bar, in place of the terminal's."},
    {NULL, NULL},
};

static const struct term files[] = {
    {"~/.local/share/clio/models/whisper-base", "The default model of `clio transcribe`."},
    {"/usr/local/share/clio/models, /usr/share/clio/models", "Models for all users."},
    {"~/.cache/clio", "Compiled kernels. They can be deleted at any time."},
    {"~/.config/clio/tuned/*.params",
     "Results of `clio tune`, one file per device, platform and driver; with a `.state` file while a search is "
     "not complete."},
    {NULL, NULL},
};

static const struct term exit_status[] = {
    {"0", "Success."},
    {"1", "A failure, which the message describes. With several files: of at least one of them."},
    {"2", "Wrong usage: an unknown option, language or device, a missing or invalid value."},
    {"130", "Interrupted by SIGINT (Ctrl-C), SIGTERM or SIGHUP (the terminal was closed). Existing files are unchanged. A second Ctrl-C "
            "ends clio at once."},
    {NULL, NULL},
};

const struct section overview_sections[] = {
    {"AUDIO",
     "WAV, FLAC, OGG, MP3, AIFF and AU files of any sample rate, channel count and length. The file `-` is standard input. A file whose "
     "name begins with a dash goes after `--`.",
     NULL},
    {"MODELS",
     "`-m` takes the path of a model or its name. A name is looked for in the models folder, then in `/usr/local/share/clio/models` and "
     "`/usr/share/clio/models`, then in the Hugging Face cache: `whisper-base`, or `base` for short, as `openai/whisper-base`. "
     "`OWNER/NAME` is "
     "looked for in that cache only. Without `-m`, `clio transcribe` uses `whisper-base`, which `scripts/fetch-whisper` in the source tree "
     "installs.",
     NULL},
    {"ENVIRONMENT", NULL, environment},
    {"FILES", NULL, files},
    {"EXIT STATUS", NULL, exit_status},
    {NULL, NULL, NULL},
};
