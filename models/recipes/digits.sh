#!/usr/bin/env bash
# digits: 28x28 handwritten digits as 32 numbers; digits-map: as 2 numbers, a map to look at.
set -euo pipefail
. "$(dirname "$0")/common.sh"
mnist=$DATA/small/mnist

config() { # latent numbers, largest sigma, steps, further members
  printf '{"name": "x", "family": {"compact": {"channels": 1, "height": 28, "width": 28, "latent": %s, "widths": [32, 96],
    "blocks": [1, 2]}}, "corruption": {"gaussian": {"sigma": [0, %s]}}, "steps": %s, "seed": 1, "loss": "psnr"%s}' "$@"
}
evaluate() { # model, sigmas
  "$LIMPID" evaluate "$mnist/t10k-images-idx3-ubyte.gz" --models "$MODELS" --no-baseline --model "$1" --sigma "$2" \
    --labels "$mnist/t10k-labels-idx1-ubyte.gz" --sheet "$WORK/$1.png"
}
learn() { # model
  train "$1" --training-config "$WORK/$1.json" --samples "$mnist/train-images-idx3-ubyte.gz" \
    --data "MNIST's 60,000 training digits (CC BY-SA 3.0)"
}
config 32 160 12000 '' >"$WORK/digits.json"
learn digits
# Then half of them under strong noise, which is what the latent has least room for.
cat >"$WORK/digits.json" <<'JSON'
{"name": "digits", "base": "digits", "promote": "always", "steps": 12000, "batch": 64, "learning_rate": 0.001, "seed": 3, "loss": "psnr",
  "corruption": {"random": [{"gaussian": {"sigma": [0, 160]}}, {"gaussian": {"sigma": [96, 160]}}]}}
JSON
learn digits
# A map is for looking at: digits that look alike shall lie together, which rebuilding them alone does not ask for.
config 2 64 3000 ', "batch": 256, "learning_rate": 0.002, "keep_neighbors": 1' >"$WORK/digits-map.json"
learn digits-map
evaluate digits 0,64,127.5
evaluate digits-map 0,64
