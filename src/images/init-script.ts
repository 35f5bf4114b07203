/** xen/include/public/io/xs_wire.h: XS_READ and XS_WATCH. */
const XS_READ = 2;
const XS_WATCH = 4;

/** A message to xenstore as a format for printf: type, request, transaction and length, then texts that end with a zero byte. */
function wireFormat(type: number, ...texts: readonly string[]): string {
  const body = texts.map((text) => `${text}\\000`).join("");
  const length = texts.reduce((bytes, text) => bytes + text.length + 1, 0);
  const word = (value: number): string => `\\${value.toString(8).padStart(3, "0")}${"\\000".repeat(3)}`;
  return [type, 0, 0, length].map(word).join("") + body;
}

/**
 * The guest's /init: what PID 1 does in an image. It is a script for busybox's shell, and must run with the busybox of
 * every release in the catalogue. README.md describes the protocol it speaks on the console.
 */
export const initScript = String.raw`#!/bin/busybox sh
# PID 1 of a Xenolith image.
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root USER=root LOGNAME=root SHELL=/bin/sh
bb=/bin/busybox
$bb mount -t proc proc /proc
$bb mount -t sysfs sysfs /sys
$bb mount -t devtmpfs devtmpfs /dev 2>/dev/null
$bb --install -s
mkdir -p /dev/pts /dev/shm
mount -t devpts -o mode=620,ptmxmode=666 devpts /dev/pts
mount -t tmpfs -o mode=1777 tmpfs /dev/shm
mount -t tmpfs -o mode=1777 tmpfs /tmp
mount -t tmpfs -o mode=755 tmpfs /run
ln -sf /proc/self/fd /dev/fd
ln -sf /proc/self/fd/0 /dev/stdin
ln -sf /proc/self/fd/1 /dev/stdout
ln -sf /proc/self/fd/2 /dev/stderr

# The kernel's messages would mix with what runs here; dmesg still has them.
dmesg -n 1
hostname xenolith
ip link set lo up

mode=shell marker= rows= cols= term=linux
[ -r /xenolith/run ] && . /xenolith/run && rm /xenolith/run
export TERM=$term
tty=/dev/hvc0
[ -c $tty ] || { read -r active </sys/class/tty/console/active && tty=/dev/${"$"}{active##* }; }

# Tells the host something: begin, ready or exit=N.
emit() {
  [ -z "$marker" ] || printf '\033]xenolith;%s;%s\007' "$marker" "$1" >$tty
}

# Standard input of a command, from lines that the host encodes: +BYTES in printf's escapes, or a dot for its end.
feed() {
  while IFS= read -r line; do
    case $line in
      +*) printf %b "${"$"}{line#+}" ;;
      *) break ;;
    esac
  done
}

# Standard error of a command, in hexadecimal between escapes. Each is one write, so that it stands whole between others.
frame() {
  while dd bs=32768 count=1 2>/dev/null | hexdump -v -e '240/1 "%02x" "\n"' | {
    ended=1
    while read -r line; do
      ended=0
      printf '\033]xenolith;%s;2;%s\007' "$marker" "$line"
    done
    [ $ended = 0 ]
  }; do :; done
}

run_command() {
  stty -F $tty raw -echo
  mkfifo /xenolith/0 /xenolith/1 /xenolith/2
  emit begin
  feed <$tty >/xenolith/0 2>/dev/null &
  feeder=$!
  cat </xenolith/1 >$tty &
  output=$!
  frame </xenolith/2 >$tty &
  errors=$!
  # In a process that has no children: one that ended would interrupt the opening of a pipe, which waits for its reader.
  (exec setsid sh /xenolith/command </xenolith/0 >/xenolith/1 2>/xenolith/2)
  status=$?
  kill $feeder 2>/dev/null
  # A process that the command left behind may hold its output open: what is written 3 s later is not waited for.
  { sleep 3; kill $output $errors; } 2>/dev/null &
  wait $output
  wait $errors
}

# Follows the size of the host's window, "ROWS COLUMNS" in a node of xenstore. Standard input and output are xenstore: an event
# of the watch names the node and is answered by reading it; of a reply, only digits and a space come last.
follow_window() {
  printf '${wireFormat(XS_WATCH, "control/window", "w")}'
  while heard=${"$"}(dd bs=4096 count=1 | tr -cs 'A-Za-z0-9/ ' '\n') && [ -n "$heard" ]; do
    case $heard in *control/window*) printf '${wireFormat(XS_READ, "control/window")}' ;; esac
    size=${"$"}{heard##*[!0-9 ]}
    [ -z "$size" ] || stty -F $tty rows ${"$"}{size% *} cols ${"$"}{size#* }
  done
}

run_terminal() {
  stty -F $tty sane
  if [ -n "$rows" ]; then
    stty -F $tty rows "$rows" cols "$cols"
    follow_window 2>/dev/null <>/dev/xen/xenbus >&0 &
  fi
  emit ready
  setsid -c "$@" <$tty >$tty 2>&1
  status=$?
}

cd /root
case $mode in
  command) run_command ;;
  terminal) run_terminal sh /xenolith/command ;;
  *)
    # The host learns of each prompt, and sends the end of its input when one comes.
    export PS1='\w # '
    [ -z "$marker" ] || PS1="\[\033]xenolith;$marker;prompt\007\]$PS1"
    run_terminal sh
    ;;
esac
emit exit=$status
# Waits until the host has taken everything: TCSADRAIN.
stty -F $tty -echo
poweroff -f
`;
