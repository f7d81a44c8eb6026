/* qcow2.c - tests of host/qcow2.c, on headers made by hand (docs/interop/qcow2.txt in QEMU) */
#include "unit.h"

#include "qcow2.h"

#define BYTES VMC_QCOW2_HEADER_BYTES

static void put32 (unsigned char *to, uint32_t value)
{
	for (int i = 0; i < 4; i++)
		to[i] = (unsigned char) (value >> (24 - 8 * i));
}

static void put64 (unsigned char *to, uint64_t value)
{
	put32 (to, (uint32_t) (value >> 32));
	put32 (to + 4, (uint32_t) value);
}

/* A header with nothing special: 1 GiB, clusters of 64 KiB. */
static void make (unsigned char *header, unsigned version)
{
	memset (header, 0, BYTES);
	put32 (header, 0x514649FB);
	put32 (header + 4, version);
	put32 (header + 20, 16);
	put64 (header + 24, UINT64_C (1) << 30);
	put32 (header + 36, 2);
	put64 (header + 40, 0x30000);
	put64 (header + 48, 0x10000);
	put32 (header + 56, 1);
	if (version >= 3) {
		put32 (header + 96, 4);
		put32 (header + 100, 104);
	}
}

static void set_backing (unsigned char *header, uint64_t offset, uint32_t size)
{
	put64 (header + 8, offset);
	put32 (header + 16, size);
}

static void assert_taken (const unsigned char *header, struct vmc_qcow2 *facts)
{
	struct vmc_error err;

	if (vmc_qcow2_check (header, BYTES, facts, &err) < 0)
		fail_msg ("%s", err.text);
}

static void assert_refused (const unsigned char *header, size_t length, const char *reason)
{
	struct vmc_qcow2 facts;
	struct vmc_error err;

	assert_int_equal (vmc_qcow2_check (header, length, &facts, &err), -1);
	assert_error (err, VMC_REFUSED, reason);
}

static void both_versions_are_taken (void **state)
{
	unsigned char header[BYTES];

	(void) state;
	for (unsigned version = 2; version <= 3; version++) {
		struct vmc_qcow2 facts;

		make (header, version);
		assert_taken (header, &facts);
		assert_int_equal (facts.virtual_bytes, UINT64_C (1) << 30);
		assert_int_equal (facts.cluster_bytes, 65536);
		assert_string_equal (facts.backing, "");
	}
}

static void other_versions_are_refused (void **state)
{
	static const unsigned versions[] = {0, 1, 4, UINT32_MAX};
	unsigned char header[BYTES];

	(void) state;
	for (size_t i = 0; i < UNIT_COUNT (versions); i++) {
		make (header, versions[i]);
		assert_refused (header, BYTES, "which is not known here");
	}
}

static void what_is_no_qcow2_is_refused (void **state)
{
	unsigned char header[BYTES];

	(void) state;
	make (header, 3);
	header[3] ^= 1;
	assert_refused (header, BYTES, "no qcow2 header");
	memset (header, 0, BYTES);
	assert_refused (header, BYTES, "no qcow2 header");
}

static void a_short_file_is_refused (void **state)
{
	unsigned char header[BYTES];

	(void) state;
	make (header, 3);
	for (size_t length = 0; length < 104; length++)
		assert_refused (header, length, "no qcow2 header");
}

static void clusters_have_a_size_that_qcow2_allows (void **state)
{
	unsigned char header[BYTES];
	struct vmc_qcow2 facts;

	(void) state;
	make (header, 3);
	for (unsigned bits = 9; bits <= 21; bits++) {
		put32 (header + 20, bits);
		assert_taken (header, &facts);
		assert_int_equal (facts.cluster_bytes, UINT64_C (1) << bits);
	}
	put32 (header + 20, 8);
	assert_refused (header, BYTES, "clusters of 2^8");
	put32 (header + 20, 22);
	assert_refused (header, BYTES, "clusters of 2^22");
	put32 (header + 20, UINT32_MAX);
	assert_refused (header, BYTES, "clusters of");
}

static void encryption_is_refused (void **state)
{
	unsigned char header[BYTES];

	(void) state;
	for (unsigned method = 1; method <= 2; method++) {
		make (header, 3);
		put32 (header + 32, method);
		assert_refused (header, BYTES, "encrypted");
	}
}

static void internal_snapshots_are_refused (void **state)
{
	unsigned char header[BYTES];

	(void) state;
	for (unsigned version = 2; version <= 3; version++) {
		make (header, version);
		put32 (header + 60, 1);
		assert_refused (header, BYTES, "internal snapshots");
	}
}

static void features_that_could_harm_are_refused (void **state)
{
	unsigned char header[BYTES];

	(void) state;
	make (header, 3);
	put64 (header + 72, 1 << 1);
	assert_refused (header, BYTES, "corrupt");
	put64 (header + 72, 1 << 2);
	assert_refused (header, BYTES, "external data file");
	for (int bit = 5; bit < 64; bit++) {
		put64 (header + 72, UINT64_C (1) << bit);
		assert_refused (header, BYTES, "not known here (0x");
	}
}

static void features_that_harm_no_reader_are_taken (void **state)
{
	unsigned char header[BYTES];
	struct vmc_qcow2 facts;

	(void) state;
	make (header, 3);
	put64 (header + 72, 1 << 0 | 1 << 3 | 1 << 4);
	assert_taken (header, &facts);
	put64 (header + 80, UINT64_MAX); /* compatible */
	put64 (header + 88, UINT64_MAX); /* autoclear */
	assert_taken (header, &facts);
}

/* A version 2 header ends before the features: there are its extensions. */
static void version_2_has_no_features (void **state)
{
	unsigned char header[BYTES];
	struct vmc_qcow2 facts;

	(void) state;
	make (header, 2);
	put64 (header + 72, UINT64_C (0xE2792ACA00000003));
	memcpy (header + 80, "raw", 3);
	assert_taken (header, &facts);
	assert_string_equal (facts.backing_format, "raw");
}

static void an_extension_without_an_end_is_refused (void **state)
{
	unsigned char header[BYTES];

	(void) state;
	make (header, 3);
	put64 (header + 104, UINT64_C (0x1234567800000000) + BYTES);
	assert_refused (header, BYTES, "extension");
	put64 (header + 104, UINT64_C (0xE2792ACAFFFFFFFF));
	assert_refused (header, BYTES, "extension");
}

/* Its end would be looked for among its own fields. */
static void a_header_that_says_it_is_too_short_is_refused (void **state)
{
	unsigned char header[BYTES];

	(void) state;
	make (header, 3);
	put32 (header + 100, 96);
	assert_refused (header, BYTES, "shorter than it can be");
	put32 (header + 100, 0);
	assert_refused (header, BYTES, "shorter than it can be");
}

static void a_size_beyond_the_limit_is_refused (void **state)
{
	unsigned char header[BYTES];
	struct vmc_qcow2 facts;

	(void) state;
	make (header, 3);
	put64 (header + 24, (uint64_t) INT64_MAX + 1);
	assert_refused (header, BYTES, "larger than 2^63");
	put64 (header + 24, INT64_MAX);
	assert_taken (header, &facts);
}

static void a_backing_name_is_read (void **state)
{
	unsigned char header[BYTES];
	struct vmc_qcow2 facts;

	(void) state;
	make (header, 3);
	memcpy (header + 512, "base.qcow2XXX", 13);
	set_backing (header, 512, 10);
	assert_taken (header, &facts);
	assert_string_equal (facts.backing, "base.qcow2");
}

static void a_backing_name_may_end_where_the_bytes_end (void **state)
{
	unsigned char header[BYTES];
	struct vmc_qcow2 facts;

	(void) state;
	make (header, 3);
	memset (header + BYTES - 1023, 'x', 1023);
	set_backing (header, BYTES - 1023, 1023);
	assert_taken (header, &facts);
	assert_int_equal (strlen (facts.backing), 1023);
}

static void a_backing_name_at_a_hostile_place_is_refused (void **state)
{
	static const struct {
		uint64_t offset;
		uint32_t size;
	} cases[] = {
		{512, 0},
		{512, 1024},
		{512, UINT32_MAX},
		{BYTES - 9, 10},
		{BYTES, 1},
		{BYTES + 1, 1},
		{UINT64_C (1) << 32, 1},
		{UINT64_MAX, 1},
		{UINT64_MAX - 5, 10},
		{UINT64_MAX - 1022, 1023},
	};
	unsigned char header[BYTES];

	(void) state;
	for (size_t i = 0; i < UNIT_COUNT (cases); i++) {
		make (header, 3);
		memset (header + 512, 'x', BYTES - 512);
		set_backing (header, cases[i].offset, cases[i].size);
		assert_refused (header, BYTES, "not where it should be");
	}
}

/* QEMU would see a shorter name than we compare. */
static void a_backing_name_with_a_zero_is_refused (void **state)
{
	unsigned char header[BYTES];

	(void) state;
	make (header, 3);
	memcpy (header + 512, "base\0evil", 9);
	set_backing (header, 512, 9);
	assert_refused (header, BYTES, "has a zero byte");
}

static void the_name_alone_is_found_whatever_else_is_wrong (void **state)
{
	unsigned char header[BYTES];
	struct vmc_qcow2 facts;
	struct vmc_error err;

	(void) state;
	make (header, 3);
	put64 (header + 72, UINT64_MAX);
	put32 (header + 4, 9);
	memcpy (header + 112, "base", 4);
	set_backing (header, 112, 4);
	assert_true (vmc_qcow2_backing (header, BYTES, &facts, &err));
	assert_string_equal (facts.backing, "base");
}

static void the_name_alone_needs_a_header (void **state)
{
	unsigned char header[BYTES];
	struct vmc_qcow2 facts;
	struct vmc_error err;

	(void) state;
	make (header, 2);
	assert_true (vmc_qcow2_backing (header, 72, &facts, &err));
	assert_string_equal (facts.backing, "");
	assert_false (vmc_qcow2_backing (header, 71, &facts, &err));
	assert_false (vmc_qcow2_backing (header, 0, &facts, &err));
	header[0] = 0;
	assert_false (vmc_qcow2_backing (header, BYTES, &facts, &err));
}

static void the_name_alone_stays_inside_the_bytes (void **state)
{
	unsigned char header[BYTES];
	struct vmc_qcow2 facts;
	struct vmc_error err;

	(void) state;
	make (header, 2);
	set_backing (header, 80, 10);
	assert_false (vmc_qcow2_backing (header, 89, &facts, &err));
	set_backing (header, UINT64_MAX, 10);
	assert_false (vmc_qcow2_backing (header, BYTES, &facts, &err));
}

static void what_a_copy_must_have (void **state)
{
	unsigned char header[BYTES];
	struct vmc_qcow2 facts;

	(void) state;
	make (header, 2);
	assert_taken (header, &facts);
	assert_true (facts.version == 2 && facts.refcount_bits == 16);
	assert_false (facts.lazy_refcounts || facts.extended_l2 || facts.zstd || facts.dirty);
	make (header, 3);
	put64 (header + 72, 1 | 1 << 3 | 1 << 4);
	put64 (header + 80, 1);
	put32 (header + 96, 6);
	put32 (header + 100, 112);
	header[104] = 1;
	assert_taken (header, &facts);
	assert_true (facts.version == 3 && facts.refcount_bits == 64);
	assert_true (facts.lazy_refcounts && facts.extended_l2 && facts.zstd && facts.dirty);
	assert_false (facts.bitmaps || facts.more_sections);
}

static void options_that_cannot_be_are_refused (void **state)
{
	unsigned char header[BYTES];

	(void) state;
	make (header, 3);
	put32 (header + 96, 7);
	assert_refused (header, BYTES, "refcounts");
	make (header, 3);
	put32 (header + 100, 112);
	header[104] = 2;
	assert_refused (header, BYTES, "compressed in a way");
}

static void sections_of_the_header_are_noted (void **state)
{
	unsigned char header[BYTES];
	struct vmc_qcow2 facts;

	(void) state;
	make (header, 3);
	put32 (header + 104, 0x6803F857);
	put32 (header + 108, 0);
	assert_taken (header, &facts);
	assert_false (facts.bitmaps || facts.more_sections);
	put32 (header + 104, 0x23852875);
	assert_taken (header, &facts);
	assert_true (facts.bitmaps && !facts.more_sections);
	put32 (header + 104, 0x12345678);
	assert_taken (header, &facts);
	assert_true (!facts.bitmaps && facts.more_sections);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test (what_a_copy_must_have),
	cmocka_unit_test (options_that_cannot_be_are_refused),
	cmocka_unit_test (sections_of_the_header_are_noted),
	cmocka_unit_test (both_versions_are_taken),
	cmocka_unit_test (other_versions_are_refused),
	cmocka_unit_test (what_is_no_qcow2_is_refused),
	cmocka_unit_test (a_short_file_is_refused),
	cmocka_unit_test (clusters_have_a_size_that_qcow2_allows),
	cmocka_unit_test (encryption_is_refused),
	cmocka_unit_test (internal_snapshots_are_refused),
	cmocka_unit_test (features_that_could_harm_are_refused),
	cmocka_unit_test (features_that_harm_no_reader_are_taken),
	cmocka_unit_test (version_2_has_no_features),
	cmocka_unit_test (an_extension_without_an_end_is_refused),
	cmocka_unit_test (a_header_that_says_it_is_too_short_is_refused),
	cmocka_unit_test (a_size_beyond_the_limit_is_refused),
	cmocka_unit_test (a_backing_name_is_read),
	cmocka_unit_test (a_backing_name_may_end_where_the_bytes_end),
	cmocka_unit_test (a_backing_name_at_a_hostile_place_is_refused),
	cmocka_unit_test (a_backing_name_with_a_zero_is_refused),
	cmocka_unit_test (the_name_alone_is_found_whatever_else_is_wrong),
	cmocka_unit_test (the_name_alone_needs_a_header),
	cmocka_unit_test (the_name_alone_stays_inside_the_bytes),
};

UNIT_MAIN (tests)
