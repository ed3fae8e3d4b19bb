/* SPDX-License-Identifier: Apache-2.0 */
/*
 * svc-decode - decodes pictures with OpenH264, without concealment of errors. Standard input: each picture as a 32-bit
 * length (big endian) and an Annex B byte stream of that length. Standard output: a line for each, `0 WIDTH HEIGHT` when it
 * was decoded without any error, else the decoder's state (DECODING_STATE) and 0 0.
 */
#include <arpa/inet.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wels/codec_api.h>

enum { MOST = 4 << 20 };

static void die(const char *why)
{
	fprintf(stderr, "svc-decode: %s\n", why);
	exit(1);
}

int main(void)
{
	static unsigned char picture[MOST];
	ISVCDecoder *decoder = NULL;
	SDecodingParam p;
	uint32_t length;
	int trace = 0; /* nothing */

	memset(&p, 0, sizeof(p));
	p.uiTargetDqLayer = 255;
	p.eEcActiveIdc = ERROR_CON_DISABLE;
	p.sVideoProperty.size = sizeof(p.sVideoProperty);
	p.sVideoProperty.eVideoBsType = VIDEO_BITSTREAM_SVC;
	if (WelsCreateDecoder(&decoder) || (*decoder)->Initialize(decoder, &p))
		die("no decoder");
	(*decoder)->SetOption(decoder, DECODER_OPTION_TRACE_LEVEL, &trace);
	while (fread(&length, sizeof(length), 1, stdin) == 1) {
		unsigned char *planes[3] = {NULL, NULL, NULL};
		SBufferInfo info;

		length = ntohl(length);
		if (length > MOST || fread(picture, 1, length, stdin) != length)
			die("standard input ends within a picture, or one is too long");
		memset(&info, 0, sizeof(info));
		DECODING_STATE state = (*decoder)->DecodeFrameNoDelay(decoder, picture, (int)length, planes, &info);
		bool shown = state == dsErrorFree && info.iBufferStatus == 1;
		printf("%d %d %d\n", state, shown ? info.UsrData.sSystemBuffer.iWidth : 0,
		       shown ? info.UsrData.sSystemBuffer.iHeight : 0);
	}
	(*decoder)->Uninitialize(decoder);
	WelsDestroyDecoder(decoder);
	return fflush(stdout) ? 1 : 0;
}
