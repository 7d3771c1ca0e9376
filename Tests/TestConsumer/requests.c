// Requests as a VMM makes them, and as commands of their own.
#include "requests.h"

int set_attribute(int device, uint32_t group, uint64_t attribute, const void *value) {
  struct kvm_device_attr request = {.group = group, .attr = attribute, .addr = (uintptr_t)value};
  return ioctl(device, KVM_SET_DEVICE_ATTR, &request);
}

int get_attribute(int device, uint32_t group, uint64_t attribute, void *value) {
  struct kvm_device_attr request = {.group = group, .attr = attribute, .addr = (uintptr_t)value};
  return ioctl(device, KVM_GET_DEVICE_ATTR, &request);
}

int change_irqfd(int device, uint32_t lisn, int event, int resample, uint32_t flags) {
  struct kvm_irqfd request = {
    .fd = (uint32_t)event,
    .gsi = lisn,
    .flags = flags | (resample < 0 ? 0 : KVM_IRQFD_FLAG_RESAMPLE),
    .resamplefd = resample < 0 ? 0 : (uint32_t)resample,
  };
  return ioctl(device, KVM_IRQFD, &request);
}

int set_line(int device, uint32_t lisn, uint32_t level) {
  struct kvm_irq_level request = {.irq = lisn, .level = level};
  return ioctl(device, KVM_IRQ_LINE, &request);
}

int connect_vcpu(int descriptor, int device, uint32_t server) {
  struct kvm_enable_cap request = {
    .cap = KVM_CAP_PPC_IRQ_XIVE, .args = {(uint64_t)device, server}};
  return ioctl(descriptor, KVM_ENABLE_CAP, &request);
}

uint64_t random_next(uint64_t *state) {
  uint64_t value = *state += 0x9e3779b97f4a7c15;
  value = (value ^ value >> 30) * 0xbf58476d1ce4e5b9;
  value = (value ^ value >> 27) * 0x94d049bb133111eb;
  return value ^ value >> 31;
}

// A descriptor of this consumer's, `none` for -1, or `=NUMBER` for any number at all.
static bool parse_event(const char *text, int *descriptor) {
  uint64_t number;
  if (strcmp(text, "none") == 0) {
    *descriptor = -1;
    return true;
  }
  if (*text != '=') return parse_descriptor(text, descriptor);
  if (!parse_number(text + 1, &number) || number > INT32_MAX) return refuse("not a number: %s", text);
  *descriptor = (int)number;
  return true;
}

bool do_irqfd(int count, char **arguments) {
  int descriptor, event, resample;
  uint64_t lisn, flags = 0;
  if (!parse_descriptor(arguments[0], &descriptor) || !parse_numbers(arguments + 1, 1, &lisn) ||
      !parse_event(arguments[2], &event) || !parse_event(arguments[3], &resample) ||
      (count == 5 && !parse_numbers(arguments + 4, 1, &flags)))
    return false;
  return answer_result(change_irqfd(descriptor, (uint32_t)lisn, event, resample, (uint32_t)flags));
}

bool do_connect(int count, char **arguments) {
  (void)count;
  int descriptor, device;
  uint64_t server;
  if (!parse_descriptor(arguments[0], &descriptor) || !parse_event(arguments[1], &device) ||
      !parse_numbers(arguments + 2, 1, &server))
    return false;
  return answer_result(connect_vcpu(descriptor, device, (uint32_t)server));
}

bool do_line(int count, char **arguments) {
  static const char *const words[] = {"status", NULL};
  int descriptor;
  uint64_t numbers[2];
  if (!parse_descriptor(arguments[0], &descriptor) || !parse_numbers(arguments + 1, 2, numbers) ||
      (count == 4 && parse_word(arguments[3], words) < 0))
    return false;
  struct kvm_irq_level request = {.irq = (uint32_t)numbers[0], .level = (uint32_t)numbers[1]};
  unsigned long number = count == 4 ? KVM_IRQ_LINE_STATUS : KVM_IRQ_LINE;
  int result = ioctl(descriptor, number, &request);
  if (result < 0) return answer_result(-1);
  answer("ok result=%d status=%d level=%u", result, request.status, request.level);
  return true;
}

bool do_message(int count, char **arguments) {
  (void)count;
  int descriptor;
  uint64_t numbers[4];
  if (!parse_descriptor(arguments[0], &descriptor) || !parse_numbers(arguments + 1, 4, numbers))
    return false;
  struct kvm_msi request = {
    .address_lo = (uint32_t)numbers[0],
    .address_hi = (uint32_t)(numbers[0] >> 32),
    .data = (uint32_t)numbers[1],
    .flags = (uint32_t)numbers[2],
    .devid = (uint32_t)numbers[3],
  };
  int result = ioctl(descriptor, KVM_SIGNAL_MSI, &request);
  if (result < 0) return answer_result(-1);
  answer("ok %d", result);
  return true;
}

bool do_register(int count, char **arguments) {
  (void)count;
  static const char *const words[] = {"get", "set", NULL};
  static const unsigned long requests[] = {KVM_GET_ONE_REG, KVM_SET_ONE_REG};
  int descriptor, word;
  uint64_t id;
  struct bytes bytes;
  if (!parse_descriptor(arguments[0], &descriptor) || (word = parse_word(arguments[1], words)) < 0 ||
      !parse_numbers(arguments + 2, 1, &id))
    return false;
  bool isBad = strcmp(arguments[3], "bad") == 0;
  if (!parse_hex(isBad ? "-" : arguments[3], &bytes)) return false;
  struct kvm_one_reg request = {.id = id, .addr = isBad ? 1 : (uintptr_t)bytes.data};
  if (ioctl(descriptor, requests[word], &request) < 0)
    answer_errno();
  else
    answer_hex("ok", bytes.data, bytes.count);
  free(bytes.data);
  return true;
}
