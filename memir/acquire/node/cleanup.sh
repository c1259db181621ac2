# The controller's own cleaning at the end. In: DIR LOCK MOUNTED. Out: "left=..." with what could not be removed.
pid=$(cat "$LOCK/pid" 2>/dev/null)
remove
[ -n "$pid" ] && kill -s KILL -- "-$pid" 2>/dev/null
left=
for path in "$DIR" "$LOCK"; do [ -e "$path" ] && left="$left $path"; done
echo "left=$left"
[ -z "$left" ]
