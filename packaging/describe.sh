#!/bin/sh
# Write what the commands of an environment say of themselves, below FOLDER where a prefix has it: pages for man, completions for bash, zsh and fish.
# Usage: packaging/describe.sh ENVIRONMENT FOLDER    prints the paths below FOLDER
set -eu
environment=$1
folder=$2

pages=share/man/man1
bash=share/bash-completion/completions
zsh=share/zsh/site-functions
fish=share/fish/vendor_completions.d

completion() { # $1: a command, $2: a shell; zsh wants to see its #compdef in the first line
    script=$(env "_$(echo "$1" | tr '[:lower:]' '[:upper:]')_COMPLETE=source_$2" "$environment/bin/$1")
    printf '%s\n' "$script" | sed '/./,$!d'
}

cd "$folder"
mkdir -p $pages $bash $zsh $fish
names=$("$environment/bin/python" -I -m recorder.manual $pages)
for name in $names; do echo "$pages/$name"; done
for command in record analyze bpftape; do
    completion $command bash >$bash/$command
    completion $command zsh >$zsh/_$command
    # zsh runs the file as the function when it completes the command for the first time.
    printf '\n_%s_completion "$@"\n' $command >>$zsh/_$command
    completion $command fish >$fish/$command.fish
    printf '%s\n' $bash/$command $zsh/_$command $fish/$command.fish
done
