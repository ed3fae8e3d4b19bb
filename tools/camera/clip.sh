#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Makes tools/camera/clip.h264, the picture of the test camera: 8 s of a moving pattern with a running counter,
# 640x360, 25 pictures/s, about 1 Mbit/s, one IDR picture per second with its parameter sets in front, no B pictures.
set -eu
cd "$(dirname "$0")"
exec ffmpeg -nostdin -loglevel error -y \
	-f lavfi -i testsrc2=size=640x360:rate=25:duration=8 \
	-pix_fmt yuv420p -c:v libx264 -profile:v main -preset slow -bf 0 -threads 1 \
	-b:v 900k -maxrate 1000k -bufsize 500k \
	-g 25 -keyint_min 25 -sc_threshold 0 \
	-x264-params repeat-headers=1:aud=0 -bsf:v filter_units=remove_types=6 \
	-f h264 clip.h264
