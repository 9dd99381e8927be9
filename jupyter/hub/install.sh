#!/bin/sh
# A JupyterHub for a class: The Littlest JupyterHub, and this course in it, on an Ubuntu server of its own.
#   git clone ... /srv/moe-lessons/course && sudo sh /srv/moe-lessons/course/jupyter/hub/install.sh TEACHER
# TEACHER is the name of the account that may add others. It may be run again: after `git pull` it renews the course.
# TORCH_INDEX=pypi takes PyTorch with CUDA, some gigabytes.
set -eu
teacher=${1:?name the account of whoever teaches: sudo sh install.sh TEACHER}
course=$(cd "$(dirname "$0")/../.." && pwd)
shared=${MOE_LESSONS_SHARED:-/srv/moe-lessons}
skeleton=${MOE_LESSONS_SKELETON:-/etc/skel}
hub=${TLJH_INSTALL_PREFIX:-/opt/tljh}
index=${TORCH_INDEX:-https://download.pytorch.org/whl/cpu}

say() { printf '%s\n' "== $*"; }

if [ ! -x "$hub/user/bin/python" ]; then
    say "The Littlest JupyterHub (some minutes)"
    curl -fsSL https://tljh.jupyter.org/bootstrap.py | python3 - --admin "$teacher"
fi

say "The course, in the environment that all learners share"
# Once for everybody: its checkpoints and lessons lie in there, and no learner has a copy of them.
cd "$course"
case $index in pypi) set -- ;; *) set -- --extra-index-url "$index" ;; esac
"$hub/user/bin/python" -m pip install --quiet -c constraints.txt "$@" ".[interop]" nbgitpuller

say "The corpus, made once and read by all"
MOE_LESSONS_CACHE=$shared "$hub/user/bin/python" -c \
    'from moe_lessons.text.corpus import course_corpus; course_corpus(progress=False)'
chmod -R a+rX,go-w "$shared/corpus"
# A new account's home begins as a copy of the skeleton. What a learner finds out stays in the learner's own folder.
mkdir -p "$skeleton/.cache/moe-lessons"
ln -sfn "$shared/corpus" "$skeleton/.cache/moe-lessons/corpus"

say "The lessons, as a repository that nbgitpuller brings to each learner"
# Commit a correction here, and the link that the room opened brings it to everybody, beside their own answers.
"$hub/user/bin/moe-lessons" copy --quiet "$shared/lessons"
git -C "$shared/lessons" init --quiet --initial-branch=main
printf '.copied.json\n.ipynb_checkpoints/\n' >"$shared/lessons/.gitignore"
git -C "$shared/lessons" add --all
git -C "$shared/lessons" -c user.name=moe-lessons -c user.email=course@localhost commit --quiet \
    -m "The lessons of $(date +%F)" >/dev/null || true # nothing is new
chmod -R a+rX,go-w "$shared/lessons"
# Git refuses a repository of somebody else's unless the machine trusts it.
for place in "$shared/lessons" "$shared/lessons/.git"; do # which of the two it asks for depends on its version
    git config --system --get-all safe.directory | grep -qx "$place" ||
        git config --system --add safe.directory "$place"
done

if command -v tljh-config >/dev/null 2>&1; then
    say "Settings"
    mkdir -p "$hub/config/jupyterhub_config.d"
    cp "$course/jupyter/hub/moe_lessons_hub.py" "$hub/config/jupyterhub_config.d/"
    # Whoever types a new name and a password has an account: for a room, not for the open internet.
    tljh-config set auth.FirstUseAuthenticator.create_users true
    # A whole server ends after an hour without a key pressed; ten minutes, as it comes, are less than a discussion.
    tljh-config set services.cull.timeout 3600
    tljh-config set user_environment.default_app jupyterlab
    tljh-config reload hub
fi

say "Give this link to the room (with the name of this server):"
printf '%s%s\n' "http://$(hostname -f 2>/dev/null || hostname)/hub/user-redirect/git-pull?repo=$shared/lessons" \
    "&branch=main&urlpath=lab/tree/lessons/00_start_here.ipynb"
