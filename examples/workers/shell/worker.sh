#!/bin/sh
# A worker in plain shell: curl and sed over REST, without any SDK.
#
# It claims one unit at a time, reads the file that the unit's data names under "path", and finishes
# the unit with what it found. Finishing one unit and claiming the next is one request.

set -eu
# Names and JSON are bytes here, whatever the locale.
export LC_ALL=C

usage() {
    cat <<'END'
usage: worker.sh [--url URL] [--namespace NAME] [--spec NAME] [--name NAME]
                 [--once | --until-empty]

  --url URL         address of the server [env LOCKSTEP_URL, else http://127.0.0.1:5980]
  --namespace NAME  namespace to work in [env LOCKSTEP_NAMESPACE, else the default one]
  --spec NAME       work spec whose units are claimed [scan]
  --name NAME       name of this worker [env LOCKSTEP_WORKER, else host and process]
  --once            end after one unit
  --until-empty     end when there is no unit to claim

The access token, where the server asks for one, is taken from LOCKSTEP_TOKEN.
SIGTERM and SIGINT let the unit at hand be finished first.
END
}

url=${LOCKSTEP_URL:-http://127.0.0.1:5980}
namespace=${LOCKSTEP_NAMESPACE:-}
worker=${LOCKSTEP_WORKER:-shell-$(uname -n)-$$}
token=${LOCKSTEP_TOKEN:-}
spec=scan
units=-1 # How many more units to do; less than zero is no limit.
wait_ms=2000 # A signal is noticed between two requests, so this is kept short.
lease_ns=60000000000

while [ $# -gt 0 ]; do
    case $1 in
        --once) units=1 ;;
        --until-empty) wait_ms=0 ;;
        --help | -h) usage; exit 0 ;;
        --url | --namespace | --spec | --name)
            [ $# -gt 1 ] || { usage >&2; exit 2; }
            case $1 in
                --url) url=$2 ;;
                --namespace) namespace=$2 ;;
                --spec) spec=$2 ;;
                --name) worker=$2 ;;
            esac
            shift ;;
        *) usage >&2; exit 2 ;;
    esac
    shift
done

# Writes a name for a URL path: plain ones as they are, others as "-" and base64url.
escape() {
    case $1 in
        '' | -* | *[!A-Za-z0-9._:-]*)
            printf -- '-%s' "$(printf %s "$1" | base64 | tr -d '=\n' | tr '+/' '-_')" ;;
        *) printf %s "$1" ;;
    esac
}

# Writes a text for a JSON string.
quote() { printf %s "$1" | sed -e 's/[\\"]/\\&/g'; }

# Takes the value of a key out of a JSON answer; a text is left as it stands between its quotes.
text_of() { printf '%s\n' "$answer" | sed -nE 's/.*"'"$1"'":"(([^"\\]|\\.)*)".*/\1/p'; }
number_of() { printf '%s\n' "$answer" | sed -nE 's/.*"'"$1"'":([0-9]+)[,}].*/\1/p'; }

# Posts a body until the server answers. The key makes sure that a repeated request counts once;
# the access token comes by a file, because others can see a program's arguments.
post() {
    round=$((round + 1))
    while :; do
        answer=$(printf %s "$1" | curl --silent --show-error --max-time 60 \
            --header 'Content-Type: application/json' --header 'Accept: application/json' \
            --header "Idempotency-Key: $session-$round" \
            --header @/dev/fd/3 --write-out '\n%{http_code}' --data-binary @- "$work_url" 3<<END
${token:+Authorization: Bearer $token}
END
        ) || answer="$answer
000"
        status=${answer##*
}
        answer=${answer%
*}
        case $status in
            200) return ;;
            000 | 5??)
                echo "worker.sh: no answer ($status); trying again" >&2
                # Told to stop, it does not wait for a server that is away.
                [ -z "$stop" ] || exit 1
                sleep 1 ;;
            *)
                echo "worker.sh: the server answered $status: $answer" >&2
                exit 1 ;;
        esac
    done
}

# Does the unit of the answer, and sets the change to report.
work() {
    if name=$(text_of work_unit_base64) && [ -n "$name" ]; then
        unit="\"work_unit_base64\":\"$name\""
    else
        unit="\"work_unit\":\"$(text_of work_unit)\""
    fi
    attempt=$(number_of id)
    raw=$(text_of path)
    path=$(printf %s "$raw" | sed -E 's/\\([\\"\/])/\1/g')
    if printf %s "$raw" | sed -E 's/\\[\\"\/]//g' | grep -q '\\'; then
        problem="cannot read paths with control characters"
    elif [ -z "$raw" ]; then
        problem="the unit's data has no text \\\"path\\\""
    elif [ ! -f "$path" ] || [ ! -r "$path" ]; then
        problem="cannot read $raw"
    else
        problem=
    fi
    if [ -n "$problem" ]; then
        outcome="\"change\":\"fail\",\"data\":{\"traceback\":\"$problem\"}"
    else
        bytes=$(($(wc -c <"$path")))
        lines=$(($(wc -l <"$path")))
        sha256=$(sha256sum <"$path" | cut -d ' ' -f 1)
        found="\"path\":\"$raw\",\"bytes\":$bytes,\"lines\":$lines,\"sha256\":\"$sha256\""
        found="$found,\"by\":\"shell\""
        # Where the spec has a "then", its output becomes a unit of that spec.
        next="\"output\":{\"$(text_of work_unit)\":{$found}}"
        outcome="\"change\":\"finish\",\"data\":{$found,$next}"
    fi
    ids="\"work_spec\":\"$(text_of work_spec)\",$unit,\"id\":$attempt,\"token\":$attempt"
    change="{$ids,$outcome}"
}

stop=
trap 'stop=1' TERM INT
round=0
session=$(od -An -N 16 -tx1 /dev/urandom | tr -d ' \n')
work_url=$url/namespace/$(escape "$namespace")/worker/$(escape "$worker")/work
request="{\"work_specs\":[\"$(quote "$spec")\"],\"number_of_work_units\":1"
request="$request,\"lifetime\":$lease_ns,\"wait_ms\":$wait_ms}"

change=
while [ -z "$stop" ] && [ "$units" -ne 0 ]; do
    post "{\"changes\":[$change],\"request\":$request}"
    change=
    case $answer in
        *'"ok":false'*) echo "worker.sh: a result was not taken: $answer" >&2 ;;
    esac
    case $answer in
        *'"attempts":[]'*) [ "$wait_ms" -gt 0 ] || break ;;
        *)
            work
            units=$((units - 1)) ;;
    esac
done
if [ -n "$change" ]; then
    post "{\"changes\":[$change]}"
fi
