# split_pages DIRTY_DOCS OUT: two texts return in many typefaces; the pages of one go to OUT/train, those of the other to OUT/test.
split_pages() {
  for side in clean noisy; do
    mkdir -p "$2/train/$side" "$2/test/$side"
    for page in "$1/$side"/*.png; do
      name=$(basename "$page" .png)
      # The page's number tells its text: "There exist several methods ..." or "There are several classic ...".
      case $((name % 6)) in
      2) cp "$page" "$2/train/$side" ;;
      3) cp "$page" "$2/test/$side" ;;
      esac
    done
  done
}
