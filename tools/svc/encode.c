/* SPDX-License-Identifier: Apache-2.0 */
/*
 * svc-encode WIDTH HEIGHT RATE BITRATE <raw.i420 >clip.h264 - three spatial layers (a quarter, a half, all of width and
 * height) and three temporal ones, by OpenH264, as an Annex B byte stream: prefix NAL units (14), subset SPS (15), slice
 * extensions (20). An IDR picture every 32.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wels/codec_api.h>

enum { SPATIAL = 3, TEMPORAL = 3, INTRA_PERIOD = 32 };

static const float SHARE[SPATIAL] = {0.15f, 0.3f, 0.55f};

static void die(const char *why)
{
	fprintf(stderr, "svc-encode: %s\n", why);
	exit(1);
}

static SEncParamExt parameters(ISVCEncoder *encoder, int width, int height, float rate, int bitrate)
{
	SEncParamExt p;

	if ((*encoder)->GetDefaultParams(encoder, &p))
		die("no default parameters");
	p.iUsageType = CAMERA_VIDEO_REAL_TIME;
	p.iPicWidth = width;
	p.iPicHeight = height;
	p.iTargetBitrate = bitrate;
	p.iMaxBitrate = UNSPECIFIED_BIT_RATE;
	p.iRCMode = RC_BITRATE_MODE;
	p.fMaxFrameRate = rate;
	p.iTemporalLayerNum = TEMPORAL;
	p.iSpatialLayerNum = SPATIAL;
	p.uiIntraPeriod = INTRA_PERIOD;
	p.eSpsPpsIdStrategy = CONSTANT_ID;
	p.bPrefixNalAddingCtrl = true;
	p.bSimulcastAVC = false;
	p.bEnableFrameSkip = false;
	p.bEnableSceneChangeDetect = false;
	p.iMultipleThreadIdc = 1;
	for (int i = 0; i < SPATIAL; i++) {
		SSpatialLayerConfig *layer = &p.sSpatialLayers[i];

		layer->iVideoWidth = width >> (SPATIAL - 1 - i);
		layer->iVideoHeight = height >> (SPATIAL - 1 - i);
		layer->fFrameRate = rate;
		layer->iSpatialBitrate = (int)((float)bitrate * SHARE[i]);
		layer->iMaxSpatialBitrate = UNSPECIFIED_BIT_RATE;
		layer->uiProfileIdc = i == 0 ? PRO_BASELINE : PRO_SCALABLE_BASELINE;
		layer->sSliceArgument.uiSliceMode = SM_SINGLE_SLICE;
	}
	return p;
}

static void write_picture(const SFrameBSInfo *info)
{
	for (int i = 0; i < info->iLayerNum; i++) {
		const SLayerBSInfo *layer = &info->sLayerInfo[i];
		size_t length = 0;

		for (int n = 0; n < layer->iNalCount; n++)
			length += (size_t)layer->pNalLengthInByte[n];
		if (fwrite(layer->pBsBuf, 1, length, stdout) != length)
			die("cannot write");
	}
}

int main(int argc, char **argv)
{
	if (argc != 5)
		die("usage: svc-encode WIDTH HEIGHT RATE BITRATE <raw.i420 >clip.h264");
	int width = atoi(argv[1]), height = atoi(argv[2]), bitrate = atoi(argv[4]);
	float rate = (float)atof(argv[3]);
	if (width < 64 || width % 64 || height < 64 || height % 64 || rate < 1 || bitrate < 10000)
		die("width and height are multiples of 64, rate at least 1, bitrate at least 10000");

	ISVCEncoder *encoder = NULL;
	if (WelsCreateSVCEncoder(&encoder))
		die("no encoder");
	SEncParamExt p = parameters(encoder, width, height, rate, bitrate);
	if ((*encoder)->InitializeExt(encoder, &p))
		die("the encoder does not take these parameters");

	size_t size = (size_t)width * (size_t)height * 3 / 2;
	unsigned char *raw = malloc(size);
	if (!raw)
		die("no memory");
	for (long n = 0; fread(raw, 1, size, stdin) == size; n++) {
		SSourcePicture picture = {
			.iColorFormat = videoFormatI420,
			.iStride = {width, width / 2, width / 2},
			.pData = {raw, raw + width * height, raw + width * height * 5 / 4},
			.iPicWidth = width,
			.iPicHeight = height,
			.uiTimeStamp = (long long)((float)n * 1000 / rate),
		};
		SFrameBSInfo info;

		memset(&info, 0, sizeof(info));
		if ((*encoder)->EncodeFrame(encoder, &picture, &info))
			die("a picture cannot be encoded");
		write_picture(&info);
	}
	free(raw);
	(*encoder)->Uninitialize(encoder);
	WelsDestroySVCEncoder(encoder);
	return fflush(stdout) ? 1 : 0;
}
