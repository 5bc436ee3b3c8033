#!/bin/sh
# Stands in front of the converter: notes every child's task, one a line, and holds conversions up while `hold` is there.
here=${0%/*}
# Opened a second time, so that the child still reads it from its beginning.
task=$(cat /proc/self/fd/0)
printf '%s\n' "$task" >> "$here/children"
case $task in
*'"Convert"'*)
    while [ -e "$here/hold" ]; do
        sleep 0.02
    done
    ;;
esac
exec "$here/symdepot" "$@"
