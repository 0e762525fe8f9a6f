#!/usr/bin/env bash
# digits: 28x28 handwritten digits as 32 numbers; digits-map: as 2 numbers, a map to look at.
set -euo pipefail
. "$(dirname "$0")/common.sh"
mnist=$DATA/small/mnist

compact() { # latent numbers, steps -> a training config
  printf '{"name": "x", "family": {"compact": {"channels": 1, "height": 28, "width": 28, "latent": %s, "widths": [32, 96],
    "blocks": [1, 2]}}, "corruption": {"gaussian": {"sigma": [0, %s]}}, "steps": %s, "seed": 1, "loss": "psnr"}' "$@"
}
evaluate() { # model, sigmas
  "$LIMPID" evaluate "$mnist/t10k-images-idx3-ubyte.gz" --models "$MODELS" --no-baseline --model "$1" --sigma "$2" \
    --labels "$mnist/t10k-labels-idx1-ubyte.gz" --sheet "$WORK/$1.png"
}
for model in 'digits 32 160 12000' 'digits-map 2 64 8000'; do
  read -r name latent sigma steps <<<"$model"
  compact "$latent" "$sigma" "$steps" >"$WORK/$name.json"
  train "$name" --training-config "$WORK/$name.json" --samples "$mnist/train-images-idx3-ubyte.gz" \
    --data "MNIST's 60,000 training digits (CC BY-SA 3.0)"
done
evaluate digits 0,64,127.5
evaluate digits-map 0,64
