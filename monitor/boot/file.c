/* SPDX-License-Identifier: BSD-2-Clause */
#include <efi.h>

#include "boot/efi.h"
#include "lib/string.h"

static EFI_GUID file_system_guid = EFI_SIMPLE_FILE_SYSTEM_PROTOCOL_GUID;
static EFI_GUID device_path_guid = EFI_DEVICE_PATH_PROTOCOL_GUID;
static EFI_GUID loaded_image_guid = EFI_LOADED_IMAGE_PROTOCOL_GUID;

/* ASCII to what the firmware takes; the caller frees it. *size counts the terminating zero. */
static CHAR16 *widen_text(struct boot *b, const char *text, UINTN *size)
{
	size_t len = strlen(text);
	CHAR16 *wide;

	*size = (len + 1) * sizeof(*wide);
	if (b->bs->AllocatePool(EfiLoaderData, *size, (void **)&wide))
		return NULL;
	for (size_t i = 0; i <= len; i++)
		wide[i] = (u8)text[i];
	return wide;
}

static EFI_STATUS open_file(struct boot *b, const char *path, UINT64 mode, EFI_FILE_HANDLE *file)
{
	EFI_FILE_IO_INTERFACE *fs;
	EFI_FILE_HANDLE root;
	EFI_STATUS status;
	UINTN size;
	CHAR16 *wide = widen_text(b, path, &size);

	if (!wide)
		return EFI_OUT_OF_RESOURCES;
	status = b->bs->HandleProtocol(b->loaded->DeviceHandle, &file_system_guid, (void **)&fs);
	if (!status)
		status = fs->OpenVolume(fs, &root);
	if (!status) {
		status = root->Open(root, file, wide, mode, 0);
		root->Close(root);
	}
	b->bs->FreePool(wide);
	return status;
}

int file_read(struct boot *b, const char *path, size_t max, void **data, size_t *size)
{
	EFI_FILE_HANDLE file;
	EFI_STATUS status;
	UINTN len = max + 1;
	int err = 0;

	status = open_file(b, path, EFI_FILE_MODE_READ, &file);
	if (status)
		return fail(b, -ENOENT, "%s: %s", path, efi_error(status));
	status = b->bs->AllocatePool(EfiLoaderData, len, data);
	if (status) {
		err = fail(b, -ENOMEM, "%s: %s", path, efi_error(status));
		goto out_close;
	}
	status = file->Read(file, &len, *data);
	if (status)
		err = fail(b, -EIO, "%s: %s", path, efi_error(status));
	else if (len > max)
		err = fail(b, -EFBIG, "%s: larger than %zu bytes", path, max);
	*size = len;
	if (err)
		b->bs->FreePool(*data);
out_close:
	file->Close(file);
	return err;
}

bool file_exists(struct boot *b, const char *path)
{
	EFI_FILE_HANDLE file;

	if (open_file(b, path, EFI_FILE_MODE_READ, &file))
		return false;
	file->Close(file);
	return true;
}

/* Zeros up to where the file ends, which is where its position is after it was read. */
static EFI_STATUS overwrite_file(EFI_FILE_HANDLE file)
{
	static const u8 zeros[512];
	EFI_STATUS status = file->SetPosition(file, UINT64_MAX);
	UINT64 left = 0;

	if (!status)
		status = file->GetPosition(file, &left);
	if (!status)
		status = file->SetPosition(file, 0);
	while (!status && left) {
		UINTN n = MIN(left, (UINT64)sizeof(zeros));

		status = file->Write(file, &n, (void *)(uintptr_t)zeros);
		left -= n;
	}
	return status ? status : file->Flush(file);
}

int file_wipe(struct boot *b, const char *path)
{
	EFI_FILE_HANDLE file;
	EFI_STATUS status = open_file(b, path, EFI_FILE_MODE_READ | EFI_FILE_MODE_WRITE, &file);

	if (!status) {
		status = overwrite_file(file);
		if (status)
			file->Close(file);
		else
			status = file->Delete(file); /* closes it */
	}
	return status ? fail(b, -EIO, "%s: cannot be removed: %s", path, efi_error(status)) : 0;
}

int file_write(struct boot *b, const char *path, const void *data, size_t size)
{
	EFI_FILE_HANDLE file;
	EFI_STATUS status;
	UINTN n = size;

	if (file_exists(b, path) && file_wipe(b, path))
		return -EIO;
	status = open_file(b, path, EFI_FILE_MODE_READ | EFI_FILE_MODE_WRITE | EFI_FILE_MODE_CREATE,
			   &file);
	if (!status) {
		status = file->Write(file, &n, (void *)(uintptr_t)data);
		if (!status)
			status = file->Flush(file);
		file->Close(file);
	}
	return status ? fail(b, -EIO, "%s: cannot be written: %s", path, efi_error(status)) : 0;
}

static u16 node_size(const EFI_DEVICE_PATH *node)
{
	return (u16)(node->Length[0] | node->Length[1] << 8);
}

static void set_node(EFI_DEVICE_PATH *node, u8 type, u8 subtype, UINTN size)
{
	node->Type = type;
	node->SubType = subtype;
	node->Length[0] = (u8)size;
	node->Length[1] = (u8)(size >> 8);
}

/* The device path of a file: its volume's, a node with the file's path, the end. */
static EFI_DEVICE_PATH *path_to(struct boot *b, const char *path)
{
	EFI_DEVICE_PATH *volume, *node, *result = NULL;
	UINTN volume_size, name_size;
	CHAR16 *name = widen_text(b, path, &name_size);

	if (!name)
		return NULL;
	if (b->bs->HandleProtocol(b->loaded->DeviceHandle, &device_path_guid, (void **)&volume))
		goto out;
	for (node = volume; node->Type != END_DEVICE_PATH_TYPE && node_size(node) >= sizeof(*node);)
		node = (void *)((char *)node + node_size(node));
	volume_size = (UINTN)((char *)node - (char *)volume);

	if (b->bs->AllocatePool(EfiLoaderData, volume_size + name_size + 2 * sizeof(*node),
				(void **)&result)) {
		result = NULL;
		goto out;
	}
	memcpy(result, volume, volume_size);
	node = (void *)((char *)result + volume_size);
	set_node(node, MEDIA_DEVICE_PATH, MEDIA_FILEPATH_DP, sizeof(*node) + name_size);
	memcpy(node + 1, name, name_size);
	node = (void *)((char *)node + sizeof(*node) + name_size);
	set_node(node, END_DEVICE_PATH_TYPE, END_ENTIRE_DEVICE_PATH_SUBTYPE, sizeof(*node));
out:
	b->bs->FreePool(name);
	return result;
}

int program_run(struct boot *b, const char *path, const char *options, EFI_STATUS *status)
{
	EFI_DEVICE_PATH *device_path = path_to(b, path);
	EFI_LOADED_IMAGE *program;
	EFI_HANDLE handle = NULL;
	CHAR16 *wide = NULL;
	UINTN size;
	int err = 0;

	*status = device_path ? b->bs->LoadImage(FALSE, b->image, device_path, NULL, 0, &handle)
			      : EFI_OUT_OF_RESOURCES;
	if (!*status)
		*status = b->bs->HandleProtocol(handle, &loaded_image_guid, (void **)&program);
	if (!*status && *options) {
		wide = widen_text(b, options, &size);
		if (wide) {
			program->LoadOptions = wide;
			program->LoadOptionsSize = (UINT32)size;
		} else {
			*status = EFI_OUT_OF_RESOURCES;
		}
	}
	if (*status) {
		err = *status == EFI_NOT_FOUND ? -ENOENT : -EIO;
		/* after a security violation the image is loaded, but must not be started */
		if (handle)
			b->bs->UnloadImage(handle);
		goto out;
	}
	*status = b->bs->StartImage(handle, NULL, NULL);
out:
	if (wide)
		b->bs->FreePool(wide);
	if (device_path)
		b->bs->FreePool(device_path);
	return err;
}
