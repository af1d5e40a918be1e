#!/bin/sh
# Builds a small cloud at a loopback EC2 end point with the real AWS CLI, and writes what it answers into a folder.
# usage: build_cloud.sh AWS-CLI ENDPOINT FOLDER
set -eu
cli=$1 endpoint=$2 out=$3
export AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test AWS_DEFAULT_REGION=eu-central-1 AWS_EC2_METADATA_DISABLED=true AWS_PAGER=
aws() { "$cli" --endpoint-url "$endpoint" --output json ec2 "$@"; }
id() { "$cli" --endpoint-url "$endpoint" --output text ec2 "$@"; }

vpc=$(id create-vpc --cidr-block 172.31.0.0/16 --query Vpc.VpcId)
subnet=$(id create-subnet --vpc-id "$vpc" --cidr-block 172.31.4.0/24 --query Subnet.SubnetId)
group() { id create-security-group --group-name "$1" --description "group $1" --vpc-id "$vpc" --query GroupId; }
allow() { g=$1; shift; aws authorize-security-group-ingress --group-id "$g" --ip-permissions "$@" > /dev/null; }

ssh=$(group ssh-open);      allow "$ssh" 'IpProtocol=tcp,FromPort=22,ToPort=22,IpRanges=[{CidrIp=0.0.0.0/0}]'
halves=$(group halves);     allow "$halves" 'IpProtocol=tcp,FromPort=3389,ToPort=3389,IpRanges=[{CidrIp=0.0.0.0/1},{CidrIp=128.0.0.0/1}]'
v6=$(group six);            allow "$v6" 'IpProtocol=tcp,FromPort=5432,ToPort=5432,Ipv6Ranges=[{CidrIpv6=::/0}]'
all=$(group all-open);      allow "$all" 'IpProtocol=-1,IpRanges=[{CidrIp=0.0.0.0/0}]'
udp=$(group udp-only);      allow "$udp" 'IpProtocol=udp,FromPort=22,ToPort=22,IpRanges=[{CidrIp=0.0.0.0/0}]'
ping=$(group ping);         allow "$ping" 'IpProtocol=icmp,FromPort=-1,ToPort=-1,IpRanges=[{CidrIp=0.0.0.0/0}]'
admin=$(group admin);       allow "$admin" 'IpProtocol=tcp,FromPort=22,ToPort=22,IpRanges=[{CidrIp=10.0.9.0/24,Description=administrators}]'
peer=$(group peer)
srn=$(group srn);           allow "$srn" 'IpProtocol=tcp,FromPort=20080,ToPort=20084,IpRanges=[{CidrIp=10.1.0.0/24}]'
ref=$(group by-reference);  allow "$ref" "IpProtocol=tcp,FromPort=443,ToPort=443,UserIdGroupPairs=[{GroupId=$peer}]"
list=$(id create-managed-prefix-list --prefix-list-name world --max-entries 5 --address-family IPv4 \
    --entries Cidr=0.0.0.0/0,Description=all --query PrefixList.PrefixListId)
listed=$(group listed);     allow "$listed" "IpProtocol=tcp,FromPort=23,ToPort=23,PrefixListIds=[{PrefixListId=$list}]"
closed=$(group closed)
aws revoke-security-group-egress --group-id "$closed" --ip-permissions 'IpProtocol=-1,IpRanges=[{CidrIp=0.0.0.0/0}]' > /dev/null
aws create-network-interface --subnet-id "$subnet" --private-ip-address 172.31.4.11 --groups "$peer" > /dev/null
aws create-network-interface --subnet-id "$subnet" --private-ip-address 172.31.4.12 --groups "$ref" "$admin" > /dev/null

aws describe-security-groups > "$out/groups.json"
aws describe-network-interfaces > "$out/interfaces.json"
aws describe-network-acls > "$out/acls.json"
aws describe-subnets > "$out/subnets.json"
aws get-managed-prefix-list-entries --prefix-list-id "$list" > "$out/$list.json"
mkdir "$out/rules"
aws describe-security-group-rules > "$out/rules/rules.json"
