// ioctl: raw, KVM's device attributes, and the same with the payload inline. The layouts are
// spelled out here on purpose: an independent check of the server's header.
#include "consumer.h"

#include <linux/kvm.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

enum { buffer_size = 4096 };

struct inline_attribute {
  uint32_t flags, group;
  uint64_t attribute;
  uint8_t data[112];
};
_Static_assert(sizeof(struct inline_attribute) == 128, "the ioctl number contains the size");

bool do_ioctl(int count, char **arguments) {
  (void)count;
  static _Alignas(4096) uint8_t buffer[buffer_size];
  int descriptor;
  uint64_t request;
  struct bytes bytes;
  if (!parse_descriptor(arguments[0], &descriptor) || !parse_numbers(arguments + 1, 1, &request))
    return false;
  if (request > UINT32_MAX || _IOC_SIZE(request) > buffer_size)
    return refuse("request out of range");
  if (!parse_hex(arguments[2], &bytes)) return false;
  bool fits = bytes.count <= buffer_size;
  memset(buffer, 0, buffer_size);
  if (fits) memcpy(buffer, bytes.data, bytes.count);
  free(bytes.data);
  if (!fits) return refuse("more than %d bytes", buffer_size);
  int result = ioctl(descriptor, (unsigned long)request, buffer);
  if (result < 0) return answer_result(-1);
  char prefix[40];
  snprintf(prefix, sizeof prefix, "ok result=%d", result);
  answer_hex(prefix, buffer, _IOC_SIZE(request));
  return true;
}

bool do_ioctl_value(int count, char **arguments) {
  (void)count;
  int descriptor;
  uint64_t numbers[2];
  if (!parse_descriptor(arguments[0], &descriptor) || !parse_numbers(arguments + 1, 2, numbers))
    return false;
  if (numbers[0] > UINT32_MAX || _IOC_SIZE(numbers[0])) return refuse("a request without a payload");
  int result = ioctl(descriptor, (unsigned long)numbers[0], numbers[1]);
  if (result < 0) return answer_result(-1);
  answer("ok %d", result);
  return true;
}

// The value ends where an inaccessible page begins: a server that reads or writes more than the
// attribute's size gets EFAULT instead of going unnoticed.
struct fenced {
  uint8_t *base, *value;
  size_t size;
};

static bool make_fenced(struct fenced *fenced, const struct bytes *bytes) {
  size_t usable = (bytes->count + 4095) & ~(size_t)4095;
  fenced->size = usable + 4096;
  fenced->base = mmap(NULL, fenced->size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (fenced->base == MAP_FAILED) return false;
  if (usable && mprotect(fenced->base, usable, PROT_READ | PROT_WRITE) < 0) return false;
  fenced->value = fenced->base + usable - bytes->count;
  memcpy(fenced->value, bytes->data, bytes->count);
  return true;
}

// `page:M:OFFSET`
static bool parse_page(char *text, void **address) {
  char *name = text + strlen("page:"), *colon = strchr(name, ':');
  uint64_t offset;
  if (!colon) return refuse("page:M:OFFSET");
  *colon = 0;
  struct mapping *mapping = parse_mapping(name);
  if (!mapping || !parse_numbers((char *[]){colon + 1}, 1, &offset)) return false;
  if (!contains(mapping, offset, 1)) return refuse("outside the mapping");
  *address = mapping->base + offset;
  return true;
}

bool do_attr(int count, char **arguments) {
  static const char *const words[] = {"set", "get", "has", NULL};
  static const unsigned long requests[] = {
    KVM_SET_DEVICE_ATTR, KVM_GET_DEVICE_ATTR, KVM_HAS_DEVICE_ATTR};
  int descriptor, word;
  uint64_t numbers[2];
  if (!parse_descriptor(arguments[0], &descriptor) ||
      (word = parse_word(arguments[1], words)) < 0 || !parse_numbers(arguments + 2, 2, numbers))
    return false;
  if (numbers[0] > UINT32_MAX) return refuse("group out of range");
  char *text = count == 5 ? arguments[4] : NULL;
  if (!text && word != 2) return false;
  struct bytes bytes = {0};
  struct fenced fenced = {0};
  void *address = NULL;
  if (text && strcmp(text, "bad") == 0) {
    address = (void *)1;
  } else if (text && strncmp(text, "page:", 5) == 0) {
    if (!parse_page(text, &address)) return false;
  } else if (text && strcmp(text, "null")) {
    if (!parse_hex(text, &bytes)) return false;
    if (!make_fenced(&fenced, &bytes)) abort();
    address = fenced.value;
  }
  struct kvm_device_attr attribute = {
    .group = (uint32_t)numbers[0], .attr = numbers[1], .addr = (uintptr_t)address};
  if (ioctl(descriptor, requests[word], &attribute) < 0)
    answer_errno();
  else if (word == 1 && fenced.base)
    answer_hex("ok", fenced.value, bytes.count);
  else
    answer("ok");
  if (fenced.base) munmap(fenced.base, fenced.size);
  free(bytes.data);
  return true;
}

// `GROUP ATTR HEX`
static bool pass_inline(int descriptor, unsigned long request, uint64_t flags, char **arguments) {
  uint64_t numbers[2];
  struct bytes bytes;
  if (!parse_numbers(arguments, 2, numbers)) return false;
  if (numbers[0] > UINT32_MAX || flags > UINT32_MAX) return refuse("flags or group out of range");
  if (!parse_hex(arguments[2], &bytes)) return false;
  struct inline_attribute attribute = {
    .flags = (uint32_t)flags, .group = (uint32_t)numbers[0], .attribute = numbers[1]};
  bool fits = bytes.count <= sizeof attribute.data;
  if (fits) memcpy(attribute.data, bytes.data, bytes.count);
  free(bytes.data);
  if (!fits) return refuse("more than 112 bytes");
  if (ioctl(descriptor, request, &attribute) < 0) return answer_result(-1);
  answer_hex("ok", attribute.data, sizeof attribute.data);
  return true;
}

bool do_inline(int count, char **arguments) {
  (void)count;
  static const char *const words[] = {"set", "get", NULL};
  static const unsigned long requests[] = {
    _IOWR('X', 1, struct inline_attribute), _IOWR('X', 2, struct inline_attribute)};
  int descriptor, word;
  if (!parse_descriptor(arguments[0], &descriptor) || (word = parse_word(arguments[1], words)) < 0)
    return false;
  return pass_inline(descriptor, requests[word], 0, arguments + 2);
}

bool do_flags(int count, char **arguments) {
  (void)count;
  int descriptor;
  uint64_t flags;
  if (!parse_descriptor(arguments[0], &descriptor) || !parse_numbers(arguments + 1, 1, &flags))
    return false;
  return pass_inline(descriptor, _IOWR('X', 1, struct inline_attribute), flags, arguments + 2);
}
