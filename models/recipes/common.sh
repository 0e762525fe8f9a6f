# What the recipes share: where the data and the models are, and the program.
DATA=${DATA:-data}
MODELS=${MODELS:-models}
WORK=${WORK:-target/recipes}
LIMPID=${LIMPID:-target/release/limpid}
mkdir -p "$WORK"

# train RUN ARGS...: trains, unless that was done; with a checkpoint of its own, so that RESUME=--resume continues a run.
train() {
  local run="$WORK/$1"
  shift
  [ ! -f "$run.done" ] || return 0
  "$LIMPID" train --models "$MODELS" --checkpoint "$run.safetensors" ${RESUME:-} "$@"
  touch "$run.done"
}
