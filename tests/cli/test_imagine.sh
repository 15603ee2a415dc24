#!/bin/sh
# clio imagine: what works, and errors of users, files, downloads and devices. An error case checks the exit code (1 failed, 2 wrong usage), a
# message of one sentence with the file or flag and the way out, nothing on standard output and no file left behind. Run by ctest, which sets
# CLIO_BUILD_DIR and CLIO_SOURCE_DIR. The models are miniature golden folders of Stable Diffusion (CLIO_GOLDEN); without them all cases are
# skipped, which CLIO_REQUIRE makes a failure.
set -u
golden=${CLIO_GOLDEN:-$CLIO_SOURCE_DIR/../shared/golden}
v1=$golden/sd-v1-tiny v2=$golden/sd-v2-tiny
if [ ! -e "$v1/model_index.json" ] || [ ! -e "$v2/model_index.json" ]; then
    echo "SKIPPED: there is no $v1 (CLIO_GOLDEN)"
    [ -z "${CLIO_REQUIRE:-}" ]
    exit
fi
# shellcheck source=tests/support/cases.sh
. "$CLIO_SOURCE_DIR/tests/support/cases.sh"
prepare() { rm -f x.png x_2.png x_preview.png; }
nothing_left() { [ "$(find . -name 'x*.png*' | wc -l)" -eq 0 ]; }

small="-q -W 64 -H 64 --steps 2"
is_png() { [ "$(head -c 8 "$1" | od -An -tx1 | tr -d ' ')" = 89504e470d0a1a0a ]; }

# ---- what works ----

# shellcheck disable=SC2086,SC2016 # words; what eval expands
{
    also='is_png x.png && [ ! -s out ]'
    works "an image" -- imagine -m "$v1" -p "a red fox" $small -o x.png
    cp x.png fox.png
    also='cmp -s x.png fox.png'
    works "the same image again" -- imagine -m "$v1" -p "a red fox" $small -o x.png -s 42 --cfg-scale 7.5 --rng cpu -b 1
    also='! cmp -s x.png fox.png'
    works "another image with --rng cuda" -- imagine -m "$v1" -p "a red fox" $small -o x.png --rng cuda
    also='grep -qx "parameters: a red fox" out && grep -q "^Steps: 2, Sampler: PLMS, CFG scale: 7.5, Seed: 42, Size: 64x64, Model: sd-v1-tiny, .*Device: .*, Version: clio " out && grep -qx "Model: sd-v1-tiny" out && grep -q "^Device: ..*" out && grep -q "^Software: clio" out'
    works "--show prints the metadata" -- imagine --show fox.png
    also='grep -q "\"parameters\": \"a red fox.nSteps: 2" out'
    works "--show as JSON" -- imagine --show fox.png --json
    also='is_png x.png && is_png x_2.png && ! cmp -s x.png x_2.png && grep -q "\"seed\": 43" out && grep -q "\"file\": \"x_2.png\"" out'
    works "a batch" -- imagine -m "$v1" -p "a red fox" -n "blurry" $small -b 2 -o x.png --json
    for ending in jpg webp; do
        also="[ -s fox.$ending ] && ! is_png fox.$ending"
        works "an image as $ending" -- imagine -m "$v1" -p "a red fox" $small -o fox.$ending
        also='grep -qx "parameters: a red fox" out && ! grep -q "^Device: " out'
        works "--show of $ending" -- imagine --show fox.$ending
        works "an image from $ending" -- imagine -m "$v1" -p "a red fox" $small -i fox.$ending -o x.png
    done
    to=piped.png also='cmp -s piped.png fox.png'
    works "to standard output" -- imagine -m "$v1" -p "a red fox" $small -o -
    also='[ -e x.png ]'
    also='is_png x.PNG && is_png x_2.PNG && rm x.PNG x_2.PNG'
    works "an extension in capitals" -- imagine -m "$v1" -p fox $small -b 2 -o x.PNG
    also='is_png x_preview.PnG && rm x.PnG x_preview.PnG'
    works "its preview" -- imagine -m "$v1" -p fox $small --preview 1 -o x.PnG
    also='! is_png x.JPeG && "$clio" imagine --show x.JPeG | grep -q "^parameters: fox" && rm x.JPeG'
    works "an extension of JPEG in capitals" -- imagine -m "$v1" -p fox $small -o x.JPeG
    also='is_png x_2.png && grep -q "\"seed\": \"18446744073709551615\"" out && grep -q "\"seed\": 0," out && "$clio" imagine --show x.png | grep -q ", Seed: 18446744073709551615, "'
    works "the greatest seed, and the one after it" -- imagine -m "$v1" -p fox -s 18446744073709551615 -b 2 $small -o x.png --json
    works "the rest of the prompt syntax" -- imagine -m "$v1" -p "a [red:blue:0.5] [cat|dog] AND snow :0.5" $small -o x.png
    also='cmp -s x.png fox.png'
    works "options of stable-diffusion.cpp without effect" -- imagine -m "$v1" -p "a red fox" $small -M txt2img -t 4 --diffusion-fa \
        --lora-model-dir . --embd-dir . -o x.png
    also='[ -e x.png ]'
    works "an empty prompt" -- imagine -m "$v1" -p "" $small -o x.png
    works "a long prompt with weights" -- imagine -m "$v1" -p "$(yes 'a (red:1.2) [fox],' | head -n 60)" $small -o x.png
    works "without guidance" -- imagine -m "$v1" -p fox --cfg-scale 1 $small -o x.png
    works "a random seed" -- imagine -m "$v1" -p fox -s -1 $small -o x.png
    also='is_png x_preview.png'
    works "previews" -- imagine -m "$v1" -p fox --preview 1 $small -o x.png
    also='is_png x_preview.png'
    works "TAESD" -- imagine -m "$v1" -p fox --taesd "$v1/taesd" --preview 2 --steps 3 -q -W 64 -H 64 -o x.png
    also='is_png x.png && grep -q acTL x.png'
    works "interpolation to another prompt, animated" -- imagine -m "$v1" -p fox --interpolate owl --frames 3 $small -o x.png
    works "the fp16 variant" -- imagine -m "$v2" -p fox --variant fp16 $small -o x.png
    works "a missing variant: the existing one is used" -- imagine -m "$v1" -p fox --variant fp16 $small -o x.png
    also='"$clio" imagine --show x.png | grep -q "Size: 64x64.*Denoising strength: 0.6"'
    works "image to image" -- imagine -m "$v1" -p owl -i fox.png --strength 0.6 --steps 4 -q -o x.png
    works "inpainting without the overlay" -- imagine -m "$v1" -p owl -i fox.png --mask fox.png --no-overlay --steps 4 -q -o x.png
    works "inpainting with a mask" -- imagine -m "$v1" -p owl -i fox.png --mask fox.png --steps 4 -q -o x.png
    works "image to image with another size" -- imagine -m "$v1" -p owl -i fox.png $small --strength 1 -o x.png
    for method in ddim ddpm euler euler_a heun dpm++2m dpm++2m_karras dpm++2m_sde unipc lcm plms; do
        works "--sampling-method $method" -- imagine -m "$v1" -p fox --sampling-method $method $small -o x.png
    done
    also='[ -e out.png ] && rm out.png'
    works "the default name" -- imagine -m "$v1" -p fox $small
}

# ---- folders ----

# Make a writable copy of the model folder.
fresh() { rm -rf model; cp -RL "$v1" model; chmod -R u+w model; rm -f model/golden.safetensors; }
# shellcheck disable=SC2086
{
    for part in tokenizer text_encoder unet vae scheduler; do
        fresh
        rm -r model/$part
        fails "no $part" 1 "model has no folder $part" "download the missing part" -- imagine -m model -p fox $small -o x.png
    done
    for file in text_encoder/config.json text_encoder/model.safetensors unet/config.json unet/diffusion_pytorch_model.safetensors vae/config.json \
        vae/diffusion_pytorch_model.safetensors scheduler/scheduler_config.json tokenizer/vocab.json tokenizer/merges.txt; do
        fresh
        rm model/$file
        fails "no $file" 1 "model/${file%/*}" -- imagine -m model -p fox $small -o x.png
    done
    for file in model_index.json text_encoder/config.json unet/config.json vae/config.json scheduler/scheduler_config.json tokenizer/vocab.json; do
        fresh
        head -c 30 "$v1/$file" >model/$file
        fails "$file is truncated" 1 "model/$file" "download it again" -- imagine -m model -p fox $small -o x.png
    done
    broken() { # part, stem, tensor, defect, word...
        part=$1 stem=$2 victim=$3 defect=$4
        shift 4
        fresh
        "$make" tensors $defect "$v1/$part/$stem.safetensors" model/$part/$stem.safetensors "$victim" || exit 1
        fails "$part: $defect" 1 "model" "$@" -- imagine -m model -p fox $small -o x.png
    }
    u=down_blocks.0.attentions.0.transformer_blocks.0.ff.net.2.weight
    t=text_model.encoder.layers.0.mlp.fc1.weight
    grep -q "$t" "$v1/text_encoder/model.safetensors" || t=encoder.layers.0.mlp.fc1.weight
    for defect in truncated cut-header oversized json overlap dtype; do
        broken unet diffusion_pytorch_model $u $defect unet/diffusion_pytorch_model.safetensors
    done
    broken unet diffusion_pytorch_model $u missing "tensor $u is missing" "download it again"
    broken unet diffusion_pytorch_model $u shape "tensor $u has shape [128, 32], expected [32, 128]"
    broken unet diffusion_pytorch_model $u nan "the UNet of model gives values that are not finite" "download them again" "use --type f32"
    broken vae diffusion_pytorch_model decoder.mid_block.attentions.0.to_q.weight nan "the VAE decoder of model gives values that are not finite"
    cp -r "$v1/vae" own-vae
    "$make" tensors nan "$v1/vae/diffusion_pytorch_model.safetensors" own-vae/diffusion_pytorch_model.safetensors \
        decoder.mid_block.attentions.0.to_q.weight || exit 1
    fails "a damaged --vae" 1 "the VAE decoder of own-vae gives values that are not finite" -- imagine -m "$v1" -p fox --vae own-vae $small -o x.png
    broken text_encoder model $t truncated text_encoder/model.safetensors "is cut short"
    broken text_encoder model $t missing "tensor $t is missing"
    fresh
    sed -i 's/"PNDMScheduler"/"MagicScheduler"/' model/model_index.json
    fails "unknown scheduler" 1 "model/scheduler/scheduler_config.json or model_index.json" "MagicScheduler" -- imagine -m model -p fox $small -o x.png
    works "unknown scheduler, and another one is chosen" -- imagine -m model -p fox --sampling-method ddim $small -o x.png
    fresh
    sed -i 's/"UpBlock2D"/"AttnUpBlock2D"/' model/unet/config.json
    fails "unknown block" 1 "model/unet/config.json" "AttnUpBlock2D" "use another model" -- imagine -m model -p fox $small -o x.png
    fresh
    sed -i 's/"act_fn": "silu"/"act_fn": "mish"/' model/vae/config.json
    fails "unknown activation" 1 "model/vae/config.json" "mish" -- imagine -m model -p fox $small -o x.png
    fresh
    sed -i 's/StableDiffusionPipeline/FluxPipeline/' model/model_index.json
    fails "another pipeline class" 1 "the pipeline class FluxPipeline is not supported" "use a Stable Diffusion 1 or 2 model" -- imagine -m model -p fox $small -o x.png
    fresh
    sed -i 's/"in_channels": 4/"in_channels": 5/' model/unet/config.json
    fails "a UNet with five channels" 1 "has 5 input and 4 output channels" "use a model with equal numbers" -- imagine -m model -p fox $small -o x.png
    fresh
    rm model/model_index.json
    works "no model_index.json" -- imagine -m model -p fox $small -o x.png
    mkdir empty
    fails "an empty folder" 1 "empty is not a Stable Diffusion folder" "use the folder" -- imagine -m empty -p fox $small -o x.png
    printf 'words' >words.safetensors
    fails "a file that is not a checkpoint" 1 "words.safetensors" -- imagine -m words.safetensors -p fox $small -o x.png
    fails "no such model" 1 "no model \"./none\"" "check the name" -- imagine -m ./none -p fox $small -o x.png
    fails "a single file of one part" 1 "diffusion_pytorch_model.safetensors" -- imagine \
        -m "$v1/unet/diffusion_pytorch_model.safetensors" -p fox $small -o x.png
    fails "no such LoRA" 1 "none.safetensors" -- imagine -m "$v1" -p fox --lora none.safetensors:0.5 $small -o x.png
    fails "a LoRA that is a model" 1 "model.safetensors" -- imagine -m "$v1" -p fox --lora "$v1/text_encoder/model.safetensors" $small -o x.png
    fails "a TAESD folder with another network" 1 "vae is not a tiny autoencoder" "--vae" "--taesd" -- imagine -m "$v1" -p fox --taesd "$v1/vae" $small -o x.png
    usage "a VAE and a TAESD" "--vae and --taesd both replace the model's VAE" "add --taesd-preview-only" -- imagine -m "$v1" -p fox --vae "$v1/vae" --taesd "$v1/taesd" $small -o x.png
    fails "no such TAESD folder" 1 "nowhere" -- imagine -m "$v1" -p fox --taesd nowhere $small -o x.png
    usage "no such variant" "\"a/b\"" "fp16" -- imagine -m "$v1" -p fox --variant a/b $small -o x.png
}

# ---- files that users have ----

# The image without the metadata before it.
pixels() { tail -c "+$(grep -abo IDAT "$1" | head -n 1 | cut -d: -f1)" "$1"; }
# An image that is the same as that of other arguments.
same() { # name, the usual arguments... -- those that mean the same...
    name=$1 usual=
    shift
    while [ "$1" != -- ]; do usual="$usual $1"; shift; done
    shift
    # shellcheck disable=SC2086 # words
    "$clio" imagine $usual -p fox $small -o same.png 2>err || { not_ok "$name" "the usual arguments fail"; return; }
    # shellcheck disable=SC2016 # what eval expands
    also='pixels x.png >got && pixels same.png >want && cmp -s got want'
    # shellcheck disable=SC2086
    works "$name" -- imagine "$@" -p fox $small -o x.png
}
# notes NAME PART... -- ARGUMENT...: an image, and a note with every part, which --quiet leaves out
notes() {
    name=$1 why=
    shift
    : >parts
    while [ "$1" != -- ]; do printf '%s\n' "$1" >>parts; shift; done
    shift
    try imagine "$@" -p fox -W 64 -H 64 --steps 2 -o x.png
    [ $status -eq 0 ] || why="exit code $status;"
    grep "^clio: note: " err >found || why="$why no note;"
    while IFS= read -r part; do grep -qF -- "$part" found || why="$why \"$part\" is missing;"; done <parts
    ! grep -qE 'params\.|clio_[a-z]' found || why="$why it names a parameter of the library;"
    try imagine "$@" -p fox $small -o x.png
    [ ! -s err ] || why="$why --quiet prints something;"
    if [ -z "$why" ]; then ok "$name"; else not_ok "$name" "$why"; fi
    defaults
}
cases=$CLIO_SOURCE_DIR/tests/cases/images
# shellcheck disable=SC2086,SC2016
{
    # which of two files decides
    fresh
    sed -i 's/"PNDMScheduler"/"EulerAncestralDiscreteScheduler"/' model/model_index.json
    same "model_index.json names the scheduler" -m "$v1" --sampling-method euler_a -- -m model
    sed -i '/"_class_name"/d' model/scheduler/scheduler_config.json
    same "the scheduler's configuration has no class" -m "$v1" --sampling-method euler_a -- -m model
    fresh
    cp "$cases/dpm-variance-scheduler_config.json" model/scheduler/scheduler_config.json
    sed -i 's/"PNDMScheduler"/"DPMSolverMultistepScheduler"/' model/model_index.json
    same "DPM++ with fields of DDPM" -m model --sampling-method dpm++2m -- -m model
    fresh
    sed -i 's/"hidden_size"/"chunk_size_feed_forward": 0, "top_k": 50, "hidden_size"/' model/text_encoder/config.json
    same "fields of text generation" -m "$v1" -- -m model
    # autoencoders
    fresh
    rm -r model/vae
    cp -RL "$v1/taesd" model/vae
    sed -i 's/"AutoencoderKL"/"AutoencoderTiny"/' model/model_index.json
    same "a VAE that is an AutoencoderTiny" -m "$v1" --taesd "$v1/taesd" -- -m model
    same "--taesd takes a file" -m "$v1" --taesd "$v1/taesd" -- -m "$v1" --taesd "$v1/taesd/diffusion_pytorch_model.safetensors"
    cp "$v1/taesd/diffusion_pytorch_model.safetensors" taesd.safetensors
    same "--taesd takes a file without config.json" -m "$v1" --taesd "$v1/taesd" -- -m "$v1" --taesd taesd.safetensors
    same "--vae takes a tiny autoencoder" -m "$v1" --taesd "$v1/taesd" -- -m "$v1" --vae taesd.safetensors
    fresh
    rm -r model/vae
    same "--vae takes a folder" -m "$v1" -- -m model --vae "$v1/vae"
    same "--vae takes a file" -m "$v1" -- -m model --vae "$v1/vae/diffusion_pytorch_model.safetensors"
    fails "no VAE" 1 "model has no folder vae" "--vae" -- imagine -m model -p fox $small -o x.png
    fails "--vae of another network" 1 "unet/diffusion_pytorch_model.safetensors has no autoencoder" -- imagine -m model -p fox \
        --vae "$v1/unet/diffusion_pytorch_model.safetensors" $small -o x.png
    # LoRAs
    also='! cmp -s x.png fox.png'
    works "a LoRA with patterns" -- imagine -m "$v1" -p "a red fox" --lora "$cases/alpha-pattern.safetensors" $small -o x.png
    works "the same in f32" -- imagine -m "$v1" -p "a red fox" --type f32 --lora "$cases/alpha-pattern.safetensors" $small -o x.png
    same "an adapter of PEFT: its folder or its file" -m "$v1" --lora "$cases/peft-adapter" -- -m "$v1" \
        --lora "$cases/peft-adapter/adapter_model.safetensors:1"
    cp "$cases/peft-adapter/adapter_model.safetensors" alone.safetensors
    fails "an adapter of PEFT without its configuration" 1 "alone.safetensors is an adapter of PEFT" "adapter_config.json does not exist" -- \
        imagine -m "$v1" -p fox --lora alone.safetensors $small -o x.png
    # notes
    notes "eta with another sampler" "--eta has no effect with the sampler euler: only ddim uses it" -- -m "$v1" --sampling-method euler --eta 0.5
    notes "a negative prompt without guidance" "-n has no effect, since --cfg-scale is not above 1" -- -m "$v1" --cfg-scale 1 -n blurry
    notes "rescaled guidance without guidance" "--guidance-rescale has no effect, since --cfg-scale is not above 1" -- -m "$v1" --cfg-scale 1 \
        --guidance-rescale 0.7
    works "eta, a negative prompt and rescaled guidance with effect" -- imagine -m "$v1" -p fox -W 64 -H 64 --steps 2 -q --sampling-method ddim \
        --eta 0.5 -n blurry --guidance-rescale 0.7 -o x.png
    notes "a variant that the folder lacks" "unet/diffusion_pytorch_model.safetensors is used" "the variant fp16" -- -m "$v1" --variant fp16
    # other formats
    printf 'GGUF\003\0\0\0' >model.gguf
    printf 'PK\003\004\024\0\0\0' >model.ckpt
    mkdir lora-folder
    cp "$cases/peft-adapter/"* lora-folder
    fails "-m of a GGUF file" 1 "model.gguf is a GGUF file" "use the .safetensors or .ckpt checkpoint" -- imagine -m model.gguf -p fox $small -o x.png
    fails "-m of a damaged PyTorch file" 1 "model.ckpt is cut short or damaged" "download it again" -- imagine -m model.ckpt -p fox $small -o x.png
    fails "-m of a LoRA's folder" 1 "lora-folder is a LoRA, not a model" "--lora" -- imagine -m lora-folder -p fox $small -o x.png
}

# ---- the command line ----

run="imagine -m $v1 -o x.png"
# shellcheck disable=SC2086
{
    usage "no prompt" "no prompt given" "-p TEXT" -- $run
    usage "no model" "no model given" "-m takes" -- imagine -p fox -o x.png
    usage "a word too many" "unexpected argument red" "quote a prompt" -- $run -p a red fox
    usage "width no multiple of 8" "-W is 100, which is not a multiple of 8: use 96 or 104" -- $run -q -p fox -W 100
    usage "height no multiple of 8" "-H is 513" "use 512 or 520" -- $run -q -p fox -H 513
    usage "width zero" "-W must be a whole number from 8 to 16384, not \"0\"" -- $run -p fox -W 0
    usage "height negative" "-H must be a whole number from 8 to 16384, not \"-64\"" -- $run -p fox -H -64
    usage "width huge" "-W must be a whole number from 8 to 16384, not \"1000000000\"" -- $run -p fox -W 1000000000
    usage "image huge" "16384 x 16384 pixels" "at most 4096 x 4096" -- $run -q -p fox -W 16384 -H 16384
    usage "width not a number" "-W must be a whole number from 8 to 16384, not \"wide\"" -- $run -p fox -W wide
    usage "steps zero" "--steps must be a whole number from 1 to 1000, not \"0\"" -- $run -p fox --steps 0
    usage "steps negative" "--steps must be a whole number from 1 to 1000, not \"-1\"" -- $run -p fox --steps -1
    usage "steps huge" "--steps must be a whole number from 1 to 1000, not \"99999999999\"" -- $run -p fox --steps 99999999999
    usage "too many steps for lcm" "steps is 60" -- $run -q -p fox --sampling-method lcm --steps 60
    usage "unknown method" "\"magic\"" "euler_a" -- $run -q -p fox --sampling-method magic
    usage "unknown spacing" "--timestep-spacing must be leading, linspace or trailing, not \"wide\"" -- $run -q -p fox --timestep-spacing wide
    usage "unknown generator" "--rng must be cpu or cuda, not \"dice\"" -- $run -p fox --rng dice
    usage "seed no number" "-s must be a whole number from 0 to 18446744073709551615, or -1 for a random one, not \"abc\"" -- $run -p fox -s abc
    usage "seed below -1" "-s must be a whole number from 0 to 18446744073709551615, or -1 for a random one, not \"-2\"" -- $run -p fox -s -2
    usage "guidance no number" "--cfg-scale must be a number from 0 to 1000, not \"nan\"" -- $run -p fox --cfg-scale nan
    usage "batch zero" "-b must be a whole number from 1 to 1000, not \"0\"" -- $run -p fox -b 0
    usage "strength without an input image" "--strength needs an input image" "-i" -- $run -p fox --strength 0.5
    usage "strength 0" "--strength must be a number from 0.001 to 1, not \"0\"" -- $run -p fox -i fox.png --strength 0
    usage "strength 2" "--strength must be a number from 0.001 to 1, not \"2\"" -- $run -p fox -i fox.png --strength 2
    usage "mask without an input image" "--mask needs an input image" "-i" -- $run -p fox --mask fox.png
    usage "seed of 65 bits" "-s must be a whole number from 0 to 18446744073709551615" -- $run -p fox -s 18446744073709551616
    usage "clip-skip too large" "--clip-skip is 4, and the text encoder of $v1 has 3 layers: use 1 to 3" -- $run -q -p fox --clip-skip 4
    usage "clip-skip of Stable Diffusion 2" "--clip-skip is 1, but $v2 has no later layer" "use 2 to 4" -- imagine -m "$v2" -o x.png -q -p fox \
        --clip-skip 1
    usage "a LoRA without its folder" "names the LoRA \"style\"" "--lora-model-dir is not set" -- $run -q -p "<lora:style:0.8>"
    fails "a LoRA that the folder lacks" 1 "has no style.safetensors: check the name" -- $run -q -p "<lora:style:0.8>" --lora-model-dir .
    usage "a LoRA without a strength" "write <lora:NAME:STRENGTH>" -- $run -q -p "<lora:style:>" --lora-model-dir .
    usage "a LoRA in the negative prompt" "-n has \"<lora:style:1>\"" "name it in -p" -- $run -q -p fox -n "<lora:style:1>" --lora-model-dir .
    usage "an embedding without its folder" "names the embedding \"style\"" "--embd-dir is not set" -- $run -q -p "embedding:style"
    fails "an embedding that the folder lacks" 1 "has no style.safetensors or style.pt" -- $run -q -p "embedding:style" --embd-dir .
    usage "an embedding with a path" "names the embedding \"../emb/good\": write the name of a file in ., without folders" -- $run -q -p "a embedding:../emb/good b" --embd-dir .
    usage "an embedding with a path from the root" "names the embedding \"/emb/good\": write the name" -- $run -q -p "embedding:/emb/good" --embd-dir .
    fails "no folder of embeddings" 1 "nowhere cannot be opened: --embd-dir must be a folder" -- $run -q -p fox --embd-dir nowhere
    usage "composing and interpolating" "-p composes 2 prompts with AND, which --interpolate cannot" -- $run -q -p "a AND b" --interpolate c
    usage "--no-overlay without a mask" "--no-overlay needs a mask" -- $run -p fox --no-overlay
    usage "img2img without an input image" "-M img2img needs an input image" "-i" -- $run -p fox -M img2img
    usage "txt2img with an input image" "-M txt2img makes an image from text alone" -- $run -p fox -M txt2img -i fox.png
    usage "another mode" "-M must be img_gen, txt2img or img2img, not \"vid_gen\"" -- $run -p fox -M vid_gen
    usage "a delay without an animation" "--delay needs an animation" "--interpolate" -- $run -p fox --delay 50
    usage "previews by a TAESD that is not named" "--taesd-preview-only needs a tiny autoencoder: give one with --taesd" -- $run -q -p fox --taesd-preview-only
    usage "frames without interpolation" "--interpolate" -- $run -p fox --frames 3
    usage "interpolation and a batch" "-b is 2" -- $run -q -p fox --interpolate owl -b 2
    usage "LoRA with a strength that is none" "--lora takes FILE or FILE:STRENGTH" -- $run -p fox --lora a:b
    usage "a LoRA's strength out of range" "--lora strength is 1e+38: it must be from -1000 to 1000" -- $run -q -p fox --lora x.safetensors:1e38
    fails "no such tokenizer" 1 "there is no folder nowhere: use the folder of CLIP's tokenizer" -- $run -q -p fox --tokenizer nowhere
    usage "unknown prediction type" "--prediction must be epsilon, eps, v_prediction, v or sample, not \"magic\"" -- $run -q -p fox --prediction magic
    usage "prompt is no UTF-8" "UTF-8" -- $run -q -p "$(printf 'a \377 fox')"
    usage "negative prompt is no UTF-8" "UTF-8" -- $run -q -p fox -n "$(printf '\303')"
    usage "an image format that cannot be written" "ends in .png, .jpg, .jpeg or .webp, not x.gif" -- imagine -m "$v1" -p fox -o x.gif
    usage "an animation as JPEG" "ends in .png, not x.jpg" -- imagine -m "$v1" -p fox --interpolate owl --frames 3 -o x.jpg
    usage "several images on standard output" "-o - writes one image" -- imagine -m "$v1" -p fox -o - -b 2
}

# ---- images ----

printf '\211PNG\r\n\032\n\0\0\0\rIHDR' >cut.png
head -c 300 fox.png >half.png
# A header with 2^31 - 1 pixels on each side.
printf '\211PNG\r\n\032\n\0\0\0\rIHDR\177\377\377\377\177\377\377\377\010\002\0\0\0\0\0\0\0' >huge.png
printf 'words' >words.png
"$clio" imagine -q -m "$v1" -p fox -W 32 -H 64 --steps 1 -o narrow.png || echo "# narrow.png was not made"
# shellcheck disable=SC2086
{
    fails "no such image" 1 "nowhere.png: no such file" -- $run -q -p fox -i nowhere.png
    fails "not an image" 1 "words.png" "PNG" -- $run -q -p fox -i words.png
    fails "a truncated header" 1 "cut.png" -- $run -q -p fox -i cut.png
    fails "a truncated image" 1 "half.png" -- $run -q -p fox -i half.png
    fails "an image with a huge size in its header" 1 "huge.png" -- $run -q -p fox -i huge.png
    fails "a folder" 1 "empty" -- $run -q -p fox -i empty
    fails "no such mask" 1 "nowhere.png" -- $run -q -p fox -i fox.png --mask nowhere.png
    usage "mask of another size" "--mask has 32 x 64 pixels and -i 64 x 64" -- $run -q -p fox -i fox.png --mask narrow.png
    fails "--show of a file that is not an image" 1 "words.png" -- imagine --show words.png
    fails "--show of a missing file" 1 "nowhere.png: no such file" -- imagine --show nowhere.png
}

# ---- output ----

# shellcheck disable=SC2016 # what eval expands
{
    for name in in in_2 in_preview; do cp fox.png $name.png; done
    ln fox.png mask.png
    kept='cmp -s fox.png in.png && cmp -s fox.png in_2.png && cmp -s fox.png in_preview.png'
    also=$kept
    fails "an image over its input" 1 "cannot write in.png: it is the input in.png" "-o" -- imagine -m "$v1" -p owl -i in.png -o in.png
    also=$kept
    fails "the second image over its input" 1 "cannot write in_2.png: it is the input in_2.png" -- imagine -m "$v1" -p owl -i in_2.png -b 2 -o in.png
    also=$kept
    fails "a preview over its input" 1 "cannot write in_preview.png: it is the input" -- imagine -m "$v1" -p owl -i in_preview.png --preview 1 -o in.png
    also=$kept
    fails "an image over its mask" 1 "cannot write fox.png: it is the input mask.png" -- imagine -m "$v1" -p owl -i in.png --mask mask.png -o fox.png
    usage "an ending in place of a name" "-o takes a name that ends in .png" -- imagine -m "$v1" -p owl -o ./.png
    rm -f in.png in_2.png in_preview.png mask.png
}
echo file >file
mkdir x.d
# shellcheck disable=SC2086
{
    fails "output folder missing" 1 "nowhere/x.png: folder nowhere does not exist" "-o" -- imagine -m "$v1" -p fox $small -o nowhere/x.png
    fails "output folder is a file" 1 "file/x.png: file is not a folder" "-o" -- imagine -m "$v1" -p fox $small -o file/x.png
    fails "output is a folder" 1 "x.d: it is a folder" "-o" -- imagine -m "$v1" -p fox $small -o x.d
    to=/dev/full
    fails "standard output is full" 1 "standard output cannot be written: the disk is full" "free some space" -- imagine -m "$v1" -p fox $small -o -
}
if [ "$(id -u)" -ne 0 ]; then
    mkdir locked
    chmod 555 locked
    # shellcheck disable=SC2086
    fails "output folder read-only" 1 "locked/x.png: folder locked is read-only" "-o" -- imagine -m "$v1" -p fox $small -o locked/x.png
elif unshare -m mount -t tmpfs none x.d 2>/dev/null; then
    # shellcheck disable=SC2016
    read_only() { unshare -m sh -c 'mount -t tmpfs -o ro none x.d || exit 99; "$@"' sh "$@"; }
    by=read_only
    # shellcheck disable=SC2086
    fails "output folder read-only" 1 "x.d/x.png: folder x.d is read-only" "-o" -- imagine -m "$v1" -p fox $small -o x.d/x.png
else
    skip "output folder read-only" "no file system can be mounted here, and root may write to every folder"
fi

# ---- a small device ----

# shellcheck disable=SC2086
{
    by="env CLIO_MEMORY_LIMIT=500K"
    fails "a device too small for the model" 1 "MiB" "use " -- imagine -m "$v1" -p fox $small -o x.png
    by="env CLIO_MEMORY_LIMIT=20M"
    fails "too small for the image" 1 "decoding 512 x 512 pixels needs" "offers 20.0 MiB" "use tiling or a smaller width and height" -- imagine -q \
        -m "$v1" -p fox --steps 1 -W 512 -H 512 -o x.png
    by="env CLIO_MEMORY_LIMIT=12M"
    fails "too small for sampling, even with tiling" 1 "sampling" "a smaller width and height need less" -- imagine -q -m "$v1" -p fox --steps 1 \
        -W 512 -H 512 --vae-tiling -o x.png
    works "large enough for a smaller one" -- imagine -m "$v1" -p fox $small -o x.png
    by="env CLIO_MEMORY_LIMIT=12M"
    works "and on the small device, too" -- imagine -m "$v1" -p fox $small -o x.png
}

# ---- Ctrl-C ----

# Interrupt at the first preview. timeout(1) forwards the signal (once: --foreground) and resets it, since shells let background commands ignore it.
echo old >old.png
timeout --foreground 120 "$clio" imagine -q -m "$v1" -p fox -W 64 -H 64 --sampling-method ddim --steps 900 --preview 1 -o old.png </dev/null >out 2>err &
while [ ! -e old_preview.png ] && kill -0 $! 2>/dev/null; do sleep 0.1; done
kill -INT $!
wait $! && status=0 || status=$?
if [ $status -eq 130 ] && [ "$(cat err)" = "clio: interrupted" ] && [ ! -s out ] && [ "$(cat old.png)" = old ] && is_png old_preview.png &&
    [ "$(find . -name 'old*' | wc -l)" -eq 2 ]; then
    ok "Ctrl-C leaves the old file and nothing half-written"
else
    not_ok "Ctrl-C leaves the old file and nothing half-written" "exit code $status, expected 130; $(ls)"
fi

finish
