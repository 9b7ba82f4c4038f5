// SPDX-License-Identifier: Apache-2.0
//
// SQL functions for addresses kept as text, IPv4 and IPv6:
//   ip_prefix(ip, bits)  the network of the first `bits` bits: ip_prefix('10.1.2.3', 8) =
//                        '10.0.0.0/8'
//   ip_in(ip, cidr)      whether ip is in the network: ip_in('10.1.2.3', '10.0.0.0/8') = true
// NULL when an argument is NULL or `ip` is not an address; an error when bits or cidr make no
// sense.
#include "base/ip.h"
#include "sql/engine_internal.h"

static Str text_at(duckdb_vector vector, idx_t row)
{
    duckdb_string_t *s = (duckdb_string_t *)duckdb_vector_get_data(vector) + row;
    return (Str){.ptr = duckdb_string_t_data(s), .len = duckdb_string_t_length(*s)};
}

static bool is_valid(duckdb_vector vector, idx_t row)
{
    uint64_t *validity = duckdb_vector_get_validity(vector);
    return validity == NULL || duckdb_validity_row_is_valid(validity, row);
}

static void set_null(duckdb_vector out, idx_t row)
{
    duckdb_vector_ensure_validity_writable(out);
    duckdb_validity_set_row_invalid(duckdb_vector_get_validity(out), row);
}

static void ip_prefix_function(duckdb_function_info info, duckdb_data_chunk input,
                               duckdb_vector out)
{
    duckdb_vector ips = duckdb_data_chunk_get_vector(input, 0);
    duckdb_vector bits = duckdb_data_chunk_get_vector(input, 1);
    const int32_t *bit_values = duckdb_vector_get_data(bits);
    const idx_t count = duckdb_data_chunk_get_size(input);

    for (idx_t i = 0; i < count; i++) {
        IpAddress ip;
        if (!is_valid(ips, i) || !is_valid(bits, i) || !ip_parse(text_at(ips, i), &ip)) {
            set_null(out, i);
            continue;
        }
        if (bit_values[i] < 0 || bit_values[i] > (int32_t)ip_bits(ip)) {
            duckdb_scalar_function_set_error(
                info, ip.is_v6 ? "ip_prefix: an IPv6 prefix has 0 to 128 bits"
                               : "ip_prefix: an IPv4 prefix has 0 to 32 bits");
            return;
        }
        char text[IP_TEXT_MAX];
        const size_t len =
            ip_format_prefix(ip_mask(ip, (uint32_t)bit_values[i]), (uint32_t)bit_values[i], text);
        duckdb_vector_assign_string_element_len(out, i, text, len);
    }
}

static void ip_in_function(duckdb_function_info info, duckdb_data_chunk input, duckdb_vector out)
{
    duckdb_vector ips = duckdb_data_chunk_get_vector(input, 0);
    duckdb_vector cidrs = duckdb_data_chunk_get_vector(input, 1);
    bool *results = duckdb_vector_get_data(out);
    const idx_t count = duckdb_data_chunk_get_size(input);
    Str last = {0}; // the network is nearly always the same one
    IpPrefix network = {0};

    for (idx_t i = 0; i < count; i++) {
        IpAddress ip;
        if (!is_valid(ips, i) || !is_valid(cidrs, i) || !ip_parse(text_at(ips, i), &ip)) {
            set_null(out, i);
            continue;
        }
        const Str cidr = text_at(cidrs, i);
        if (last.len == 0 || !str_eq(cidr, last)) {
            if (!ip_parse_prefix(cidr, &network)) {
                duckdb_scalar_function_set_error(
                    info, "ip_in: the second argument must be a network such as '10.0.0.0/8'");
                return;
            }
            last = cidr;
        }
        results[i] = ip_prefix_contains(network, ip);
    }
}

static bool register_function(duckdb_connection connection, const char *name, duckdb_type second,
                              duckdb_type result, duckdb_scalar_function_t run)
{
    duckdb_scalar_function function = duckdb_create_scalar_function();
    duckdb_logical_type text = duckdb_create_logical_type(DUCKDB_TYPE_VARCHAR);
    duckdb_logical_type other = duckdb_create_logical_type(second);
    duckdb_logical_type returns = duckdb_create_logical_type(result);

    duckdb_scalar_function_set_name(function, name);
    duckdb_scalar_function_add_parameter(function, text);
    duckdb_scalar_function_add_parameter(function, other);
    duckdb_scalar_function_set_return_type(function, returns);
    duckdb_scalar_function_set_special_handling(
        function); // NULL for what is no address, not only for NULL
    duckdb_scalar_function_set_function(function, run);
    const bool ok = duckdb_register_scalar_function(connection, function) == DuckDBSuccess;
    duckdb_destroy_scalar_function(&function);
    duckdb_destroy_logical_type(&text);
    duckdb_destroy_logical_type(&other);
    duckdb_destroy_logical_type(&returns);
    return ok;
}

Status sql_register_functions(duckdb_connection connection, Err *err)
{
    // The result is checked: a clash with a function of DuckDB's own would silently run that one.
    if (!register_function(connection, "ip_prefix", DUCKDB_TYPE_INTEGER, DUCKDB_TYPE_VARCHAR,
                           ip_prefix_function) ||
        !register_function(connection, "ip_in", DUCKDB_TYPE_VARCHAR, DUCKDB_TYPE_BOOLEAN,
                           ip_in_function)) {
        return err_set(err, ERR_INTERNAL, "DuckDB: cannot register ip_prefix and ip_in");
    }
    return OK;
}
