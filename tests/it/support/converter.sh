#!/bin/sh
# Stands in front of the converter: notes every child's task, one a line, and holds conversions up while `hold` is there.
here=${0%/*}
printf '%s\n' "$2" >> "$here/children"
case $2 in
*'"Convert"'*)
    while [ -e "$here/hold" ]; do
        sleep 0.02
    done
    ;;
esac
exec "$here/symdepot" "$@"
