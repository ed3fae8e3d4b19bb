#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""An RTSP relay out of GStreamer's parts: one rtspsrc into one shared media of gst-rtsp-server, nothing decoded.

usage: gst-relay.py SOURCE ADDRESS PORT. Serves /camera (H.264), prints "listening" when it does, ends with SIGTERM.
"""
import signal
import sys

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer  # noqa: E402

LAUNCH = (
    '( rtspsrc location="{source}" protocols=udp latency=0 ! rtph264depay ! '
    "rtph264pay name=pay0 pt=96 config-interval=-1 )"
)


def main():
    source, address, port = sys.argv[1:]
    Gst.init(None)
    server = GstRtspServer.RTSPServer.new()
    server.set_address(address)
    server.set_service(port)
    server.set_backlog(128)
    factory = GstRtspServer.RTSPMediaFactory.new()
    factory.set_launch(LAUNCH.format(source=source))
    factory.set_shared(True)
    server.get_mount_points().add_factory("/camera", factory)
    if server.attach(None) == 0:
        sys.exit(f"gst-relay: cannot listen on {address}:{port}")
    print("listening", flush=True)
    loop = GLib.MainLoop()
    for number in (signal.SIGTERM, signal.SIGINT):
        GLib.unix_signal_add(GLib.PRIORITY_DEFAULT, number, loop.quit)
    loop.run()


main()
