/* glibc's _dl_find_object(3) by dl_iterate_phdr(3), which musl has: GCC's unwinder asks it where the
   table is that says how to unwind PC. Of the result, that unwinder reads dlfo_eh_frame. */
#define _GNU_SOURCE
#include <link.h>
#include <stddef.h>
#include <stdint.h>

struct dl_find_object {
    unsigned long long dlfo_flags;
    void *dlfo_map_start;
    void *dlfo_map_end;
    struct link_map *dlfo_link_map;
    void *dlfo_eh_frame;
    unsigned long long reserved[7];
};

struct search {
    uintptr_t pc;
    struct dl_find_object *found;
};

static int look(struct dl_phdr_info *object, size_t size, void *argument)
{
    struct search *search = argument;
    uintptr_t start = 0, end = 0, table = 0;
    (void)size;
    for (int i = 0; i < object->dlpi_phnum; i++) {
        const ElfW(Phdr) *segment = &object->dlpi_phdr[i];
        uintptr_t address = object->dlpi_addr + segment->p_vaddr;
        if (segment->p_type == PT_GNU_EH_FRAME)
            table = address;
        if (segment->p_type == PT_LOAD && search->pc >= address && search->pc < address + segment->p_memsz) {
            start = address;
            end = address + segment->p_memsz;
        }
    }
    if (!start || !table)
        return 0;
    *search->found = (struct dl_find_object){
        .dlfo_map_start = (void *)start, .dlfo_map_end = (void *)end, .dlfo_eh_frame = (void *)table};
    return 1;
}

int _dl_find_object(void *pc, struct dl_find_object *found)
{
    struct search search = {(uintptr_t)pc, found};
    return dl_iterate_phdr(look, &search) ? 0 : -1;
}
