# What the recipes share: where the data and the models are, and the program.
DATA=${DATA:-data}
MODELS=${MODELS:-models}
WORK=${WORK:-target/recipes}
LIMPID=${LIMPID:-target/release/limpid}
mkdir -p "$WORK"

# train NAME ARGS...: trains with a checkpoint of its own, so that RESUME=--resume goes on.
train() {
  local name=$1
  shift
  "$LIMPID" train --name "$name" --models "$MODELS" --checkpoint "$WORK/$name.safetensors" ${RESUME:-} "$@"
}
