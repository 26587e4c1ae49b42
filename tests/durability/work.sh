# usage: work.sh PLACE SECONDS OUTPUT [INPUT...]
# Tells PLACE/log when it starts and ends, holds PLACE/locks/JOB meanwhile, and writes OUTPUT from its inputs.
place=$1 seconds=$2 output=$3
shift 3
job=${PWD##*/jobs/}
job=${job#*/}
job=${job%%[./]*}
run=${PWD%%/jobs/*}
run=${run##*/}
exec 9>>"$place/locks/$run.$job"
flock -n 9 || echo "OVERLAP $run $job $PWD" >>"$place/log"
echo "start $run $job $PWD" >>"$place/log"
sleep "$seconds"
{ for input; do cat "$input"; done; echo "$output"; } | sort >"$output" || exit 1
echo "end $run $job $PWD" >>"$place/log"
