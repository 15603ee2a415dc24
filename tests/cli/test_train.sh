#!/bin/sh
# clio train, sample and eval: what works, errors in data and settings (exit code, one sentence that names what is wrong, no partial files), a
# run that is interrupted and resumed, and one that is killed at random moments twenty times and ends with the same bits as an uninterrupted
# one. Run by ctest, which sets CLIO_BUILD_DIR and CLIO_SOURCE_DIR.
set -u
# shellcheck source=tests/support/cases.sh
. "$CLIO_SOURCE_DIR/tests/support/cases.sh"
images=$CLIO_BUILD_DIR/tests/make_images golden=${CLIO_GOLDEN:-$CLIO_SOURCE_DIR/../shared/golden}/sd-v1-tiny
"$images" data 24 16 && "$images" classes 24 16 x && "$images" odd 3 16 && "$images" odd/larger 1 32 || exit 1
mv odd/larger/0000.png odd/9999.png && rmdir odd/larger
cp -r data broken && head -c 60 data/0003.png >broken/0003.png
cp -r data captions && for f in captions/*.png; do echo "a shape" >"${f%.png}.txt"; done
cp -r captions orphan && rm orphan/0005.png
mkdir empty
prepare() { rm -rf x; }
# All of train.csv but its last column, samples per second.
same_log() { [ "$(cut -d, -f1-7 "$1/train.csv")" = "$(cut -d, -f1-7 "$2/train.csv")" ]; }
nothing_left() { [ ! -e x/train.csv ]; }
# What -v lists as copied between host and device, but for weights: "NAME CALLS".
transfers() { awk '/^(read|write|other) / { name = $1; for (i = 2; i < NF - 4; i++) name = name " " $i; print name, $(NF - 4) }' "$1" | grep -v "model\\|weights\\|training" | sort; }
last() { "$CLIO_BUILD_DIR/clio" sample -q -m "$1" -o "$2"; }
is_png() { [ "$(head -c 8 "$1" | od -An -tx1 | tr -d ' ')" = 89504e470d0a1a0a ]; }

# ---- what works ----

vae="--set batch_size=8 --set epochs=2 --set hidden_size=16 --set latent_dim=4 --set validation_split=0.25"
# shellcheck disable=SC2086,SC2016 # words; what eval expands
{
    also='[ "$(wc -l <x/train.csv)" -eq 5 ] && [ "$(wc -l <x/eval.csv)" -eq 3 ] && is_png x/train.png && is_png x/eval.png && [ -e x/best/model.safetensors ] && is_png x/samples/step-00000004.png'
    works "a dense autoencoder of 2 epochs" -- train vae --data data -o x -q $vae
    cp -r x vae
    # the first line of what is said is a line of its own
    if "$clio" train vae --data data -o said $vae 2>err && [ "$(sed -n 1p err | grep -c '^clio [0-9.]* on .*)$')" -eq 1 ]; then
        ok "the line of the device"
    else
        not_ok "the line of the device" "$(sed -n 1p err)"
    fi
    rm -rf said
    # 4 steps, 2 evaluations: images are written, losses and gradient norms read; the rest is weights
    if "$clio" train vae --data data -o copies $vae --set sample_every_steps=-1 -v 2>err && [ "$(transfers err)" = "read gradient norm 4
read loss 16
write images 6
write loss scale 2" ]; then ok "copies of images and losses alone"; else not_ok "copies of images and losses alone" "$(transfers err)"; fi
    rm -rf copies
    also='diff -r -x train.csv x vae >/dev/null && same_log x vae'
    works "the same bits again" -- train vae --data data -o x -q $vae
    also='! cmp -s x/last/model.safetensors vae/last/model.safetensors'
    works "other bits from another seed" -- train vae --data data -o x -q $vae --set seed=1
    for model in gan jsd-gan mmd-gan autoencoder; do
        also='[ -e x/last/model.safetensors ]'
        works "$model" -- train $model --data data -o x -q --set batch_size=8 --set max_steps=2
        rm -rf $model && cp -r x $model
    done
    also='is_png x/samples/step-00000002.png'
    works "dcgan" -- train dcgan --data data -o x -q --set batch_size=8 --set max_steps=2 --set ngf=4 --set ndf=4
    works "convolutions" -- train vae --data data -o x -q --set architecture=conv --set base_channels=4 --set batch_size=8 --set max_steps=2
    for model in cgan cvae classifier; do
        works "$model" -- train $model --data classes -o x -q --set batch_size=8 --set max_steps=2
        rm -rf $model && cp -r x $model
    done
    works "images of a class by its number" -- sample -q -m cvae -b 3 --label 1 -o number.png
    also='cmp -s number.png name.png'
    works "and by its name" -- sample -q -m cvae -b 3 --label square -o name.png
    also='! cmp -s number.png name.png'
    works "and another" -- sample -q -m cvae -b 3 --label disc -o name.png
    mkdir gap && cp data/000[0-7].png gap && { echo file_name,label; for i in 0 1 2 3 4 5 6 7; do echo "000$i.png,$((i % 2 * 2))"; done; } >gap/metadata.csv
    # a chart that cannot be written is a warning, with -q as well, and the run goes on
    mkdir -p charts/train.png
    if "$clio" train vae --data data -o charts -q $vae >out 2>err && grep -q "^clio: warning: charts/train.png could not be written: " err && [ -e charts/last/model.safetensors ] && is_png charts/eval.png; then ok "a chart that cannot be written"; else not_ok "a chart that cannot be written" "no warning, or no model"; fi
    cp -r vae tabs && sed -i 's/,/\t/g' tabs/train.csv && cp tabs/train.csv tabs.csv
    if "$clio" train --data data -o tabs -q --resume >out 2>err && grep -q "^clio: warning: 5 lines of tabs/train.csv cannot be read, the first is line 1: .* now tabs/train.csv.old\$" err && cmp -s tabs.csv tabs/train.csv.old && [ "$(wc -l <tabs/train.csv)" -eq 1 ]; then ok "a log that cannot be read is kept"; else not_ok "a log that cannot be read is kept" "no warning, or no old file"; fi
    gap() { "$clio" train "$@" --data gap -o gappy -q 2>/dev/null && "$clio" sample -m gappy -b 2 --label $label -o x.png >out 2>err; }
    unseen='2 of the 2 images are of classes that gappy/last was trained without a sample of, class 1 for instance'
    label=1
    if gap cvae --set batch_size=8 --set max_steps=2 --set validation_split=0 && grep -qF "note: $unseen" err; then ok "a class never seen"; else not_ok "a class never seen" "no note"; fi
    label=2
    if gap --resume --set max_steps=3 && ! grep -q note: err; then ok "not one that was seen"; else not_ok "not one that was seen" "a note"; fi
    label=1
    cp gap/0001.png gap/0008.png && echo 0008.png,1 >>gap/metadata.csv
    if gap --resume --set max_steps=4 && ! grep -q note: err; then ok "seen when the run went on"; else not_ok "seen when the run went on" "a note"; fi
    sed -i '/,1$/d' gap/metadata.csv && rm gap/0008.png
    if gap --resume --set max_steps=5 && ! grep -q note: err; then ok "seen before the run went on"; else not_ok "seen before the run went on" "a note"; fi
    works "a larger one" -- train vae --data odd -o x -q --set image_size=32 --set batch_size=2 --set max_steps=1 --set validation_split=0
    cp -r x larger
    works "accumulated gradients, a schedule, clipping and averages" -- train vae --data data -o x -q $vae --set gradient_accumulation_steps=2 \
        --set lr_scheduler=cosine --set lr_warmup_steps=1 --set max_grad_norm=1 --set ema_decay=0.9 --set optimizer=adamw --set weight_decay=0.01
    works "augmentation" -- train vae --data data -o x -q $vae --set random_flip=0.5 --set random_resized_crop=0.2 --set gaussian_noise=0.1 --set brightness=0.2
    also='is_png grid.png'
    works "a grid of samples" -- sample -q -m vae -o grid.png
    also='is_png single.png && ! cmp -s single.png grid.png'
    works "a grid of one image" -- sample -q -m vae -o single.png -b 1
    works "a grid of few images" -- sample -q -m vae -o grid.png -b 3
    also='is_png interpolation.png && grep -q acTL interpolation.png'
    works "an interpolation" -- sample -q -m vae -s 1 --interpolate-seed 2 --frames 3 -o interpolation.png
    also='is_png back.png'
    works "images encoded and reconstructed" -- sample -q -m vae data/0001.png data/0002.png -o back.png
    also='is_png one.png && is_png one_2.png'
    works "a file for each" -- sample -q -m vae -b 2 --separate -o one.png
    # of the data that it was trained on, what was held out; all of other data
    also='grep -q "^psnr" out && grep -q "^negative_elbo" out && [ $((held = $(awk "/^images/ { print \$2 }" out))) -gt 1 ] && [ $held -lt 12 ]'
    works "metrics" -- eval -m vae --data data
    also='grep -q "^images *$((24 - held))$" out'
    works "metrics of the training split" -- eval -m vae --data data --split train
    cp -r data elsewhere
    also='grep -q "^images *24$" out'
    works "metrics of other data" -- eval -m vae --data elsewhere
    also='grep -q "\"frechet_distance\":" out'
    works "distances, as JSON" -- eval -m vae --data data --features classifier --json
    printf 'the cat sat\n' >said && : >heard
    echo '?' >unsaid
    prints=yes also='grep -q "\"word_error_rate\": null" out'
    fails "metrics that are not finite, as JSON" 1 "word_error_rate, character_error_rate: not a finite number" "unsaid has no words" -- eval --reference unsaid --hypothesis said --json
    also='grep -q "\"frechet_distance\":" out'
    works "distances again" -- eval -m vae --data data --features classifier --json
    printf 'the cat sat\non the mat\n' >said && printf 'the cat sat\non a mat\n' >heard
    also='grep -q "^word_error_rate *16.6667 %" out'
    works "words" -- eval --reference said --hypothesis heard
    printf '{"file_name": "a", "text": "a dog barks"}\n{"file_name": "b", "text": "rain falls"}\n' >made
    : >silence
    also='grep -q "^word_error_rate *100 %" out && grep -q "^character_error_rate *100 %" out && grep -q "^deletions *6$" out && grep -q "^words *6$" out'
    works "words of an empty transcript" -- eval --reference said --hypothesis silence
    prints=yes
    fails "an empty reference" 1 "silence has no words: use a reference with text" -- eval --reference silence --hypothesis said
    printf 'good\nb\377d\n' >latin && printf 'a cat\n' >plain
    fails "a transcript that is not UTF-8" 1 "latin is not valid UTF-8 in line 2" -- eval --reference said --hypothesis latin
    fails "a reference that is not UTF-8" 1 "latin is not valid UTF-8 in line 2" -- eval --reference latin --hypothesis said
    fails "captions that are not JSON" 1 "line 1 of plain is not valid JSON" -- eval --captions plain --references made
    also='grep -q "^bleu_2 *1$" out && grep -q "^captions *2" out'
    works "captions" -- eval --captions made --references made
    also='grep -q "^  dcgan " out'
    works "the list of models" -- train --list
    also='tr -s "\n " "  " <out | grep -q "random seed of weights, shuffling, noise and augmentation (0 to 1000000000000000; default 0)"'
    works "the limit of a seed" -- train --list vae
    also='grep -q "^  latent_dim " out && grep -q "^  learning_rate " out && ! grep -q "model.s)" out'
    works "the settings of one" -- train --list vae
    also='tr -s "\n " "  " <out | grep -q "learning_rate peak learning rate (0 to 1000000; default 0.0002)" && tr -s "\n " "  " <out | grep -q "(0 to 0.9999999; default 0.5)"'
    works "the defaults of its optimizer" -- train --list dcgan
    echo '{"max_steps": 1, "batch_size": 8, "hidden_size": 16}' >settings.json
    also='[ "$(wc -l <x/train.csv)" -eq 4 ]'
    works "settings of a file, and epochs that replace its max_steps" -- train vae --data data -o x -q --config settings.json --set epochs=1 --set validation_split=0
    also='[ -e x/last/model.safetensors ]'
    works "a corrupt image skipped" -- train vae --data broken -o x -q $vae --set skip_corrupt=true
    works "images of several sizes resized to one" -- train vae --data odd -o x -q --set batch_size=2 --set max_steps=1 --set image_size=16 --set validation_split=0
    works "captions that the model does not use" -- train vae --data captions -o x -q $vae
    if [ -d "$golden" ]; then
        with="--set pretrained=$golden --set batch_size=8 --set max_steps=2 --set validation_split=0 --set sample_every_steps=-1"
        also='[ -f x/last/text_encoder/config.json ] && [ ! -L x/last/text_encoder/config.json ] && [ -e x/last/text_encoder/model.safetensors ]'
        works "captions with a frozen text encoder" -- train unet --data captions -o x -q $with
        cp -r x frozen
        also='[ -f x/last/text_encoder/model.safetensors ] && ! cmp -s x/last/text_encoder/model.safetensors frozen/last/text_encoder/model.safetensors && "$clio" imagine -q -m x/last -p "a shape" --steps 2 -W 16 -H 16 -o made.png && is_png made.png'
        works "captions with a trained text encoder" -- train unet --data captions -o x -q $with --set train_text_encoder=true --set ema_decay=0.9
        printf damaged | dd of=frozen/last/unet/diffusion_pytorch_model.safetensors bs=1 seek=9000 conv=notrunc 2>/dev/null
        hurt="frozen/last/unet/diffusion_pytorch_model.safetensors is damaged: it differs from its checksum"
        fails "images of a diffusion model that is damaged" 1 "$hurt" -- imagine -q -m frozen/last -p "a shape" --steps 2 -W 16 -H 16 -o made.png
        fails "training that starts from it" 1 "$hurt" -- train unet --data captions -o x -q --set pretrained=frozen/last --set batch_size=8
        with="--set text_encoder=$golden/text_encoder --set batch_size=8 --set max_steps=2 --set hidden_size=16 --set latent_dim=4"
        also='[ -d x/last/text_encoder ] && [ ! -L x/last/text_encoder ] && [ ! -L x/last/tokenizer ] && is_png x/samples/step-00000002.png'
        works "a GAN conditioned on captions" -- train cgan --data captions -o x -q $with --set architecture=dense
        works "a VAE conditioned on captions" -- train cvae --data captions -o x -q $with --set "validation_prompts=a shape|fog at night"
        cp -r x captioned
        also='is_png one.png'
        works "images of one caption" -- sample -q -m captioned -b 3 --label 0 -o one.png
        also='is_png other.png && ! cmp -s one.png other.png'
        works "images of another" -- sample -q -m captioned -b 3 --label 1 -o other.png
        also='grep -q "^negative_elbo" out && ! grep -q "^psnr" out'
        works "metrics with captions" -- eval -m captioned --data captions
        fails "an image without its caption" 2 cvae "cannot reconstruct images" -- sample -q -m captioned data/0001.png -o x.png
    else
        skip "captions with a text encoder" "there is no $golden (CLIO_GOLDEN)"
    fi
}

# ---- settings without effect ----

# noted NAME MODEL ARGUMENT...; standard input: the settings that have no effect, and why
noted() {
    name=$1
    shift
    cat >want
    rm -rf x
    "$clio" train "$@" -o x --set max_steps=1 --set batch_size=4 --set sample_every_steps=-1 >out 2>err
    sed -n 's/^.*clio: note: the setting //p' err >got
    if [ -e x/last ] && cmp -s want got; then ok "$name"; else not_ok "$name" "$(diff want got)"; fi
}
noted "of a GAN" gan --data data --set early_stopping_patience=3 --set eval_steps=2 --set nesterov=true --set momentum=0.5 --set generator.momentum=0.3 \
    --set lr_gamma=0.2 --set lr_end_factor=0.1 --set lr_scheduler_steps=5 --set caption_column=foo --set saturation=0.1 --set validation_split=0.2 <<'END'
early_stopping_patience has no effect: the model has no validation metric
eval_steps has no effect: the model has no validation metric
nesterov has no effect: optimizer is adam, and it is for sgd
momentum has no effect: optimizer is adam, and it is for sgd|rmsprop
generator.momentum has no effect: optimizer is adam, and it is for sgd|rmsprop
lr_gamma has no effect: lr_scheduler is constant, and it is for step
lr_end_factor has no effect: lr_scheduler is constant, and it is for cosine
lr_scheduler_steps has no effect: lr_scheduler is constant, and it is for cosine|step
caption_column has no effect: the model is not conditioned on captions
END
noted "of a VAE" vae --data data --set base_channels=8 --set saturation=0.2 --set channels=1 --set brightness=0.1 --set validation_split=0 --set early_stopping_patience=3 \
    --set optimizer=sgd --set beta1=0.4 --set beta2=0.9 --set eps=1e-7 --set allow_empty_captions=true <<'END'
base_channels has no effect: architecture is dense, and it is for conv
saturation has no effect: the images are grayscale
early_stopping_patience has no effect: there is no validation data (validation_split)
beta1 has no effect: optimizer is sgd, and it is for adam|adamw
beta2 has no effect: optimizer is sgd, and it is for adam|adamw|rmsprop
eps has no effect: optimizer is sgd, and it is for adam|adamw|rmsprop
allow_empty_captions has no effect: the model is not conditioned on captions
END
noted "of a diffusion model without captions" unet --data data --set block_out_channels=8,16 --set norm_num_groups=4 --set num_attention_heads=2 --set validation_prompts=foo \
    --set guidance_scale=2 --set conditioning_dropout=0.2 --set validation_split=0 <<'END'
validation_prompts has no effect: the model is not conditioned on captions
guidance_scale has no effect: the model is not conditioned on labels or captions
conditioning_dropout has no effect: the model is not conditioned on labels or captions
END
mkdir divided && cp -r data divided/train && cp -r data divided/validation
noted "of data with its own split" vae --data divided --set validation_split=0.2 <<'END'
validation_split has no effect: the data has a validation split of its own
END
noted "none that have one" vae --data data --set architecture=conv --set base_channels=4 --set optimizer=sgd --set momentum=0.9 --set nesterov=true --set saturation=0.1 \
    --set lr_scheduler=step --set lr_gamma=0.5 --set lr_scheduler_steps=2 --set early_stopping_patience=2 --set validation_split=0.25 </dev/null
noted "nor defaults and what is off" gan --data data --set momentum=0 --set nesterov=false --set lr_gamma=0.1 --set validation_split=0 --set early_stopping_patience=0 </dev/null
noted "of one part whose optimizer has it" gan --data data --set generator.optimizer=sgd --set momentum=0.5 --set discriminator.momentum=0.4 <<'END'
discriminator.momentum has no effect: optimizer is adam, and it is for sgd|rmsprop
END
if [ -d "$golden" ]; then
    noted "of a pretrained model, and of captions in text files" unet --data captions --set pretrained="$golden" --set layers_per_block=2 --set attention_levels=all --set caption_column=foo \
        --set validation_split=0 --set conditioning_dropout=0.2 <<'END'
attention_levels has no effect: the model in pretrained decides it
caption_column has no effect: the data has no metadata.csv or metadata.jsonl
END
else
    skip "settings of a pretrained model without effect" "there is no $golden (CLIO_GOLDEN)"
fi
"$clio" train --list whisper >out 2>err
if grep -q "^  language " out && grep -q "^  eval_steps " out && ! grep -Eq "^  (image_size|channels|resize_mode|random_|brightness|contrast|saturation|gaussian_noise|num_samples|sample_every)" out; then ok "the list of whisper has no settings of images"; else not_ok "the list of whisper" "settings of images"; fi
"$clio" train --list gan >out 2>err
if grep -q "^  image_size " out && grep -q "^  lr_gamma " out && ! grep -Eq "^  (eval_steps|early_stopping|caption_column|allow_empty)" out; then ok "the list of gan has no settings of evaluation"; else not_ok "the list of gan" "settings without use"; fi

# ---- what goes wrong ----

# shellcheck disable=SC2086,SC2016 # words; what eval expands
{
    usage "no model" "--list" -- train --data data -o x
    usage "an unknown model" "no model vea" -- train vea --data data -o x -q
    usage "two models" "vae and gan" -- train vae gan --data data -o x
    usage "no data" "--data" -- train vae -o x
    usage "no folder to write to" "--out" -- train vae --data data
    usage "an unknown setting" "colour is not a setting of vae" "clio train --list MODEL lists them" -- train vae --data data -o x --set colour=3 -q
    usage "a setting with a slip" "lerning_rate is not a setting of vae" "did you mean learning_rate?" -- train vae --data data -o x --set lerning_rate=3 -q
    usage "a misspelled setting" "learning-rate is not a setting of vae" "did you mean learning_rate" -- train vae --data data -o x --set learning-rate=3 -q
    usage "nothing to train" "epochs is 0" -- train vae --data data -o x --set epochs=0 -q
    fails "no such file of settings" 1 "nowhere.json: No such file" -- train vae --data data -o x --config nowhere.json -q
    fails "metrics of a GAN without features" 2 "gan" "no metric of its own" "--features" -- eval -q -m gan --data data
    usage "a setting without a value" "NAME=VALUE" -- train vae --data data -o x --set epochs
    usage "a number that is none" "epochs" "number" -- train vae --data data -o x --set epochs=many -q
    usage "a number out of range" "batch" "65536" -- train vae --data data -o x --set batch_size=0 -q
    usage "a word that is none of them" "adam|adamw|sgd|rmsprop" -- train vae --data data -o x --set optimizer=adagrad -q
    usage "a validation split that is no fraction" "validation_split must be a number from 0 to 0.9, or -1" -- train vae --data data -o x -q $vae --set validation_split=-0.5
    usage "nesterov without momentum" "momentum" -- train vae --data data -o x -q $vae --set optimizer=sgd --set nesterov=true
    usage "train_text_encoder without a text encoder" "train_text_encoder" "set text_encoder" -- train unet --data captions -o x -q --set batch_size=8 --set train_text_encoder=true
    usage "a learning rate for a frozen text encoder" "text_encoder.learning_rate" "set train_text_encoder to true" -- train unet --data captions -o x -q --set batch_size=8 --set text_encoder.learning_rate=1e-6
    fails "an empty folder" 1 empty -- train vae --data empty -o x -q
    fails "no such folder" 1 nowhere -- train vae --data nowhere -o x -q
    fails "a broken image among good ones" 1 0003.png -- train vae --data broken -o x -q $vae
    fails "a caption without its image" 1 0005 -- train vae --data orphan -o x -q
    fails "images of several sizes" 1 9999.png 0000.png image_size -- train vae --data odd -o x -q
    fails "a file in the place of the output folder" 1 "data/0001.png cannot be created: data/0001.png is a file" -- train vae --data data -o data/0001.png -q $vae
    fails "a file above it" 1 "data/0001.png/x cannot be created: data/0001.png is a file" -- train vae --data data -o data/0001.png/x -q $vae
    also='! grep -q "No such file" err' # the reason of the folder, not of what was looked up behind it
    fails "a folder that cannot be made" 1 "/sys/clio/x cannot be created" -- train vae --data data -o /sys/clio/x -q $vae
    fails "a dataset without labels" 1 labels -- train cvae --data data -o x -q
    for model in cgan cvae; do
        fails "a dataset with captions instead of labels ($model)" 1 "captions and no labels" "set text_encoder to" "subfolder per class" -- train $model --data captions -o x -q
    done
    fails "a dataset with captions for a model of labels" 1 "captions has no labels: put" -- train classifier --data captions -o x -q
    fails "a dataset without captions" 1 0000.png "no caption" -- train cgan --data data -o x -q --set text_encoder=nowhere
    fails "a missing text encoder" 1 "no folder nowhere" "text_encoder" -- train cvae --data captions -o x -q --set text_encoder=nowhere --set batch_size=8
    fails "fewer images than a batch" 1 "samples for training, fewer than one batch of 64" -- train vae --data odd -o x -q --set image_size=16 --set batch_size=64
    fails "an image size that DCGAN does not support" 2 image_size -- train dcgan --data data -o x -q --set image_size=30 --set batch_size=8
    nothing_left() { [ ! -e x/last ]; }
    fails "a loss that diverges" 1 "step " "not a finite number" "learning_rate" -- train vae --data data -o x -q $vae --set learning_rate=1e6 --set optimizer=sgd
    nothing_left() { :; }
    # plots and samples of a run are no training images
    mkdir mixed && cp data/000*.png mixed && find mixed | sort >before.txt && ln -s mixed alias
    nothing_left() { find mixed | sort | cmp -s - before.txt; }
    for out in mixed mixed/ alias ./mixed/../alias; do
        usage "output into the data ($out)" "--data mixed is a folder that the run writes to" "choose another folder for --out" -- train vae --data mixed -o $out -q $vae
    done
    usage "output into the data, resumed" "--data mixed is a folder that the run writes to" -- train vae --data mixed -o mixed -q $vae --resume
    nothing_left() { :; }
    usage "its own samples as data" "--data vae/samples is a folder that the run writes to" -- train vae --data vae/samples -o vae -q $vae --resume
    usage "its own checkpoints as data" "--data vae/last is a folder that the run writes to" -- train vae --data vae/last -o vae -q $vae --resume
    fails "data in the folder of another run" 1 "vae holds a training run" "a folder of its own" -- train vae --data vae -o x -q $vae
    fails "the same to evaluate on" 1 "vae holds a training run" -- eval -q -m vae --data vae
    also='[ -e mixed/run/last ]'
    works "output below the data" -- train vae --data mixed -o mixed/run -q $vae
    fails "a folder that holds a run" 1 vae "resume it" -- train vae --data data -o vae -q $vae
    # a run of a version whose settings had other names, and whose training.json had no "format"
    cp -r vae old && sed -i 's/"format": 2, *//; s/hidden_size/hidden/g; s/latent_dim/latent/g' old/checkpoints/*/training.json old/checkpoints/*/config.json
    mv old/train.csv old/losses.csv && cp -r old before
    also='diff -r old before >/dev/null'
    fails "a run of an older version, resumed" 1 training.json "another version of clio" "other names" -- train --data data -o old -q --resume
    also='diff -r old before >/dev/null'
    fails "a run of an older version, resumed with settings" 1 training.json "another version of clio" -- train vae --data data -o old -q $vae --resume
    also='diff -r old before >/dev/null'
    fails "a new run in the folder of an older version" 1 "old already holds a training run" -- train vae --data data -o old -q $vae
    rm -rf old/checkpoints old/last old/best && rm -rf before && cp -r old before
    also='diff -r old before >/dev/null'
    fails "a new run beside the losses of an older version" 1 "old already holds a training run (losses.csv)" -- train vae --data data -o old -q $vae
    cp -r vae old/run && sed -i 's/hidden_size/hidden/' old/run/checkpoints/*/config.json && rm old/run/checkpoints/*/training.json
    fails "samples of a model of an older version" 1 config.json '"hidden" is not a setting of vae' "another version of clio" -- sample -q -m old/run -o x.png
    fails "metrics of a model of an older version" 1 config.json '"hidden" is not a setting of vae' "another version of clio" -- eval -q -m old/run --data data
    fails "a run of another model" 2 "vae, not gan" -- train gan --data data -o vae -q --resume
    usage "nothing to resume, and no model" "name the model" -- train --data data -o x -q --resume
    cp -r vae cut && for step in cut/checkpoints/*; do head -c 3000 vae/last/training.safetensors >"$step/training.safetensors"; done
    fails "truncated checkpoints" 1 "cut has no intact checkpoint to resume from" step-00000004/training.safetensors "start a new run in another folder" -- train --data data -o cut -q --resume
    cp -r vae other && sed -i 's/"step": [24]/"step": "four"/' other/checkpoints/*/training.json
    fails "checkpoints without a valid step" 1 training.json step -- train --data data -o other -q --resume
    fails "a model of another shape in a checkpoint" 1 step-00000004/model.safetensors -- train --data data -o vae -q --resume --set latent_dim=5 --set epochs=3
    fails "a folder without a model" 1 data -- sample -m data -o x.png
    usage "a label of many out of range" "--label is 3: it must be from 0 to 1" -- sample -q -m cvae --label 0 --label 1 --label 3 -o x.png
    usage "the label of an interpolation out of range" "--label is 3: it must be from 0 to 1" -- sample -q -m cvae --label 3 --interpolate-seed 2 -o x.png
    cp data/0001.png given.png && cp given.png given_2.png
    also='cmp -s given.png data/0001.png'
    fails "reconstructions over their input" 1 "cannot write given.png: it is the input given.png" "-o" -- sample -q -m vae given.png -o given.png
    also='cmp -s given_2.png data/0001.png'
    fails "files of their own over their input" 1 "cannot write given_2.png: it is the input" -- sample -q -m vae --separate given_2.png -o given.png
    for step in cut/checkpoints/*; do rm "$step"/*.safetensors && : >"$step/training.json"; done
    fails "checkpoints whose files are empty or missing" 1 "cut has no intact checkpoint to resume from" "training.json" "start a new run in another folder" -- train --data data -o cut -q --resume
    "$clio" train --data data -o vae --resume --set max_steps=2 >out 2>err
    if grep -q "with batch size 8, 4 steps made$" err && grep -q "nothing is left to train: the run has made 4 steps" err; then ok "fewer steps than were made"; else not_ok "fewer steps than were made" "$(cat err)"; fi
    usage "a label of a model without classes" "--label is 3, but this model has no classes" -- sample -q -m vae --label 3 -o x.png
    usage "a label out of range" "--label is 99: it must be from 0 to" -- sample -q -m cvae --label 0 --label 99 -o x.png
    for option in "-b 7" "--columns 4" --separate; do
        usage "$option with an animation" "${option%% *} has no effect on an animation (--interpolate-seed): leave it out" -- sample -q -m vae --interpolate-seed 3 $option -o x.png
    done
    for option in "-b 3" "-s 9" "--label 1"; do
        usage "$option with images" "${option%% *} has no effect on images that are reconstructed: leave it out" -- sample -q -m vae $option data/0001.png -o x.png
    done
    for option in "--frames 5" "--delay 50"; do
        usage "$option alone" "${option%% *} has no effect without an animation (--interpolate-seed)" -- sample -q -m vae $option -o x.png
    done
    usage "columns of separate files" "--columns has no effect on one file per image (--separate)" -- sample -q -m vae --separate --columns 2 -o x.png
    for option in "-n 5" "-s 5" "--data data" "--split test" "--features classifier"; do
        usage "$option with texts" "${option%% *} has no effect on texts: leave it out" -- eval --reference said --hypothesis said $option
        usage "$option with captions" "${option%% *} has no effect on texts: leave it out" -- eval --captions made --references made $option
    done
    usage "a seed without samples" "-s has no effect without --features" -- eval -q -m vae --data data -s 5
    usage "a seed that is too large" "seed must be an integer from 0 to 1000000000000000" -- train vae --data data -o x -q --set seed=1e16
    usage "a random seed" "-s must be a whole number from 0 to" -- sample -q -m vae -s -1 -o x.png
    cp -r vae damaged && "$make" tensors nan vae/best/model.safetensors damaged/best/model.safetensors vae.fc3.weight || exit 1
    for use in "samples:sample -q -m damaged -o x.png" "metrics:eval -q -m damaged --data data" "metrics of one checkpoint:eval -q -m damaged/best/ --data data" \
        "features:eval -q -m vae --data data --features damaged"; do
        fails "${use%%:*} of a model that differs from its checksum" 1 "damaged/best/model.safetensors is damaged" "training.json" "use another checkpoint" -- ${use#*:}
    done
    rm damaged/checkpoints/*/training.json
    prints=yes
    fails "metrics of a model without checksums that is damaged" 1 "negative_elbo" "of damaged on data: not a finite number" "use another checkpoint" -- eval -q -m damaged --data data
    fails "samples of a damaged model" 1 "the vae of damaged/best gives pixels that are not finite" "use another checkpoint" -- sample -q -m damaged -o x.png
    "$make" tensors nan vae/best/model.safetensors damaged/best/model.safetensors vae.mu.weight || exit 1
    fails "reconstructions of a damaged model" 1 "the vae of damaged/best encodes images to values that are not finite" -- sample -q -m damaged data/0001.png -o x.png
    usage "a label that is no number" "boots" -- sample -q -m vae --label boots -o x.png
    usage "a label that is no class" "boots" "one of the 2 classes of the model (disc, square)" -- sample -q -m cvae --label boots -o x.png
    fails "a model without a decoder" 2 classifier -- sample -q -m classifier data/0001.png -o x.png
    fails "features of another size" 2 classifier -- eval -q -m larger --data data --features classifier
    usage "nothing to evaluate" "--reference" -- eval
    usage "a transcript alone" "--hypothesis" -- eval --reference said
    printf '{"file_name": "c", "text": "a cat"}\n' >given
    fails "a caption without a reference" 1 made given -- eval --captions made --references given
}

# ---- a full disk ----

if mkdir small && mount -t tmpfs -o size=300k none small 2>/dev/null; then
    # shellcheck disable=SC2016 # what eval expands
    also='[ ! -e small/x/last ] || [ -e small/x/last/training.json ]'
    fails "a full disk" 1 "small" -- train vae --data data -o small/x -q --set batch_size=8 --set epochs=50 --set hidden_size=64
    umount small
else
    skip "a full disk" "mounting needs root"
fi

# ---- stopped and killed ----

long="--set batch_size=8 --set max_steps=900 --set hidden_size=32 --set latent_dim=4 --set save_steps=7 --set sample_every_steps=-1 --set validation_split=0 --set random_flip=0.5"
# shellcheck disable=SC2086 # words
"$clio" train vae --data data -o uncut -q $long || exit 1
# shellcheck disable=SC2086 # words
"$clio" train vae --data data -o stopped -q $long 2>err &
child=$!
while [ ! -e stopped/last ] && kill -0 $child 2>/dev/null; do sleep 0.05; done
kill -TERM $child 2>/dev/null
wait $child
status=$?
if [ $status -eq 0 ] || { [ $status -eq 130 ] && grep -q "which is saved" err; }; then
    ok "interrupted (exit code $status)"
else
    not_ok "interrupted" "exit code $status"
fi
"$clio" train --data data -o stopped -q --resume 2>err
if cmp -s stopped/last/training.safetensors uncut/last/training.safetensors && same_log stopped uncut; then
    ok "and resumed: the same bits"
else
    not_ok "and resumed" "other bits"
fi
# The terminal is closed: as TERM, unless the signal was ignored at the start, as under nohup.
# shellcheck disable=SC2086 # words
hang_up() { # FOLDER, and words before the command
    out=$1
    shift
    "$@" "$clio" train vae --data data -o "$out" -q $long 2>err &
    child=$!
    while [ ! -e "$out/last" ] && kill -0 $child 2>/dev/null; do sleep 0.05; done
    kill -HUP $child 2>/dev/null
    status=0
    wait $child || status=$?
}
hang_up hung
if [ $status -eq 0 ] || { [ $status -eq 130 ] && grep -q "which is saved" err && [ ! -e hung/.lock ]; }; then ok "hung up (exit code $status)"; else not_ok "hung up" "exit code $status"; fi
hang_up ignored sh -c 'trap "" HUP; exec "$@"' sh
if [ $status -eq 0 ] && cmp -s ignored/last/training.safetensors uncut/last/training.safetensors; then ok "not where the signal is ignored"; else not_ok "not where the signal is ignored" "exit code $status"; fi
# Killed at different moments; a run that ends before it is killed must have the same bits, and another one is started.
kills=0 ends=0 bad=''
for n in $(seq 60); do
    [ $kills -lt 20 ] || break
    # shellcheck disable=SC2086 # words
    "$clio" train vae --data data -o killed -q $long --resume 2>err &
    child=$!
    before=$(wc -l 2>/dev/null <killed/train.csv || echo 0)
    for _ in $(seq 500); do # until it trains, or has ended
        if [ "$(wc -l 2>/dev/null <killed/train.csv || echo 0)" -gt "$before" ] || ! kill -0 $child 2>/dev/null; then break; fi
        sleep 0.02
    done
    sleep "0.$((n * 7919 % 30))"
    kill -KILL $child 2>/dev/null
    wait $child 2>/dev/null
    if [ $? -eq 137 ]; then
        kills=$((kills + 1))
        [ ! -e killed/last ] || last killed killed.png 2>err || bad="after $kills kills the checkpoint cannot be read"
    else
        ends=$((ends + 1))
        cmp -s killed/last/training.safetensors uncut/last/training.safetensors || bad="other bits after $kills kills"
        rm -rf killed
    fi
done
# shellcheck disable=SC2086 # words
"$clio" train vae --data data -o killed -q $long --resume 2>err
cmp -s killed/last/training.safetensors uncut/last/training.safetensors || bad="other bits at the end"
[ $kills -eq 20 ] || bad="$bad, and only $kills kills"
if [ -z "$bad" ]; then ok "killed 20 times in $((ends + 1)) runs: the same bits"; else not_ok "killed $kills times" "$bad"; fi

# Killed between its checkpoint and its images: the resumed run writes what is missing, with the same bits, and deletes what was left.
# shellcheck disable=SC2086 # words
"$clio" train vae --data data -o entire -q $vae --set epochs=9 --set max_steps=6 --set sample_every_steps=2 --set save_steps=2 --set eval_steps=1 2>err
"$clio" train vae --data data -o halted -q $vae --set epochs=9 --set max_steps=4 --set sample_every_steps=2 --set save_steps=2 --set eval_steps=1 2>err
mv halted/samples/step-00000004.png halted/samples/step-00000004.png.tmp.clio && : >halted/eval.png.tmp.clio
mv halted/samples/step-00000002.png halted/samples/step-00000002.png.tmp.clio && cp entire/samples/step-00000002.png halted/samples
if "$clio" train --data data -o halted -q --resume --set max_steps=6 2>err && diff -r entire/samples halted/samples >err && cmp entire/eval.png halted/eval.png 2>err &&
    cmp entire/train.png halted/train.png 2>err && [ ! -e halted/eval.png.tmp.clio ]; then ok "images of a run that was killed before it wrote them"; else not_ok "images of a run that was killed before it wrote them" "others"; fi

# ---- several processes ----

if ldd "$CLIO_BUILD_DIR"/libclio.so | grep -q libmpi; then
    # Open MPI's components are unloaded before leaks are looked for, and what they leave cannot be told by name.
    # shellcheck disable=SC2086 # words
    if ASAN_OPTIONS=${ASAN_OPTIONS:-}:detect_leaks=0 OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 mpirun --oversubscribe -n 2 "$clio" train vae --data data -o pair -q $long 2>err &&
        paste -d, pair/train.csv uncut/train.csv | awk -F, 'NR > 1 { n++; d = $3 - $11; if (d < 0) d = -d; if (d > 2e-4 * $11) bad = 1 } END { exit bad || n != 900 }'; then
        ok "2 processes: the losses of one"
    else
        not_ok "2 processes" "other losses"
    fi
else
    skip "2 processes" "this clio was built without MPI"
fi
finish
