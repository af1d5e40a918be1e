"""A small network of namespaces: reads what it consists of from standard input, tries conversations in it, and prints which of them work
with the box that is meant.

Runs in mount and network namespaces of its own (`unshare -m -n`), so that all of it is gone when the process ends.

    {"boxes": {NAME: {"links": {INTERFACE: [BRIDGE, [ADDRESS/LENGTH, ..]]}, "routes": ["default via 10.0.9.254", ..], "load": [[TOOL, TEXT], ..]}},
     "flows": [[SOURCE BOX, ADDRESS, DESTINATION BOX, ADDRESS, "tcp" or "udp", PORT], ..],
     "serve": [[BOX, ADDRESS, "tcp" or "udp", PORT], ..]}

Without "serve", the destinations of the flows are served.
"""
import concurrent.futures, ctypes, json, os, socket, subprocess, sys, threading

LIBC = ctypes.CDLL("libc.so.6", use_errno=True)
SECONDS = 1.2


def run(args, text=None):
    done = subprocess.run(args, input=text, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{' '.join(args)}: {done.stderr.strip()[:300]}")


def build(boxes):
    run(["mount", "--make-rprivate", "/"])
    run(["mount", "-t", "tmpfs", "none", "/run"])
    bridges = {b for box in boxes.values() for b, _ in box["links"].values()}
    for b in sorted(bridges):
        run(["ip", "link", "add", b, "type", "bridge", "stp_state", "0", "forward_delay", "0"])
        run(["ip", "link", "set", b, "up"])
    port = 0
    for name, box in boxes.items():
        run(["ip", "netns", "add", name])
        for key in ("net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1") if len(box["links"]) > 1 else ():
            run(["ip", "netns", "exec", name, "sysctl", "-qw", key])
        run(["ip", "-n", name, "link", "set", "lo", "up"])
        for interface, (bridge, addresses) in box["links"].items():
            port += 1
            run(["ip", "link", "add", f"p{port}", "type", "veth", "peer", "name", interface, "netns", name])
            run(["ip", "link", "set", f"p{port}", "master", bridge, "up"])
            run(["ip", "-n", name, "link", "set", interface, "up"])
            for a in addresses:
                run(["ip", "-n", name, "addr", "add", a, "dev", interface] + (["nodad"] if ":" in a else []))
        for route in box["routes"]:
            run(["ip", "-n", name] + (["-6"] if ":" in route else []) + ["route", "add"] + route.split())
        for tool, text in box["load"]:
            run(["ip", "netns", "exec", name, tool], text)


def opened(box, kind):
    """A socket in a box's namespace; the calling thread stays there."""
    with open(f"/run/netns/{box}") as f:
        if LIBC.setns(f.fileno(), 0x40000000):
            raise OSError(ctypes.get_errno(), "setns")
    s = socket.socket(*kind)
    s.settimeout(SECONDS)
    return s


def kind(address, proto):
    return (socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM if proto == "tcp" else socket.SOCK_DGRAM)


def serve(box, address, proto, port, ready):
    s = opened(box, kind(address, proto))
    s.settimeout(None)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind((address, port))
    if proto == "tcp":
        s.listen(64)
    ready.release()
    while True:
        if proto == "udp":
            _, peer = s.recvfrom(16)
            s.sendto(box.encode(), peer)
            continue
        c, _ = s.accept()
        c.settimeout(SECONDS)
        try:
            c.recv(1)
            c.send(box.encode())
        except OSError:
            pass


def attempt(flow):
    box, source, meant, destination, proto, port = flow
    s = opened(box, kind(destination, proto))
    try:
        s.bind((source, 0))
        s.connect((destination, port))
        for _ in range(2 if proto == "udp" else 1):
            s.send(b"?")
            if s.recv(64) != meant.encode():
                return False
        return True
    except OSError:
        return False


def main():
    asked = json.load(sys.stdin)
    build(asked["boxes"])
    ready = threading.Semaphore(0)
    servers = {tuple(s) for s in asked.get("serve") or [f[2:] for f in asked["flows"]]}
    for one in servers:
        threading.Thread(target=serve, args=(*one, ready), daemon=True).start()
    for _ in servers:
        if not ready.acquire(timeout=10):
            raise RuntimeError("a server does not start")
    with concurrent.futures.ThreadPoolExecutor(len(asked["flows"])) as pool:
        # Twice: a busy machine may be slow.
        first = list(pool.map(attempt, asked["flows"]))
        again = list(pool.map(attempt, asked["flows"]))
    print(json.dumps([a or b for a, b in zip(first, again)]), flush=True)
    os._exit(0)


main()
